"""Doctors and vets."""

TEXT = """
= doctor service
what: a sore throat; a bad cough; a back pain; a swollen knee; a headache; an ear ache; a skin rash; a stiff neck; a \
burnt finger; a runny nose
!A I have been sitting here with a fever all morning!
!A You took ten people who came after me!
!A This medicine tastes like old socks and does nothing!
!B You have to take the pills and not feed them to the dog!
!B I cannot look into your mouth while you talk!

- appointment | what who when:day where:room
A: I would like to see the doctor. I have {what}.
 / Hello, I need an appointment. I have {what}.
 / Can I see a doctor? I woke up with {what}.
B: I see. Doctor {who} can help you.
 / That sounds bad. Let us ask Doctor {who}.
A: When can I come?
 / Is there a free place soon?
B? We have time {on2}.
 / How about {when2}?
A? I cannot leave work then.
 / I will be on a boat then.
B: You can come {on}.
 / Then {when} is still free.
A: Good. Where do I have to go?
 / Thank you. Is it the same room as before?
B: Doctor {who} is {at} now.
 / You will find us {at}.
> {A} has {what} and will see Doctor {who} {on} {at}.
> {B} gives {A} an appointment {on} with Doctor {who}, {at}, for {what}.
> {A} needs help with {what}, so {B} says Doctor {who} is free {on} {at}.

- advice | what how_much:long who when:any
B: What can I do for you today?
 / Please sit down. What is the matter?
A: I have had {what} for {much}.
 / For {much} now I have had {what}.
 / It is {what}, Doctor. I have had it for {much}.
B: Have you seen anybody else about it?
 / Did you try anything?
A: My friend {who} gave me some tea.
 / Only {who}, who told me to drink hot milk.
 / I asked {who}, who put a potato on it.
B? Did you have {what2} as well?
 / And do you have {what2}?
A? No, nothing like that.
 / No, one thing is enough for me.
B: Take these drops and come back {on}.
 / Please rest, and see me again {on}.
A: I will. Thank you, Doctor.
 / I will do what you say.
> {A} has had {what} for {much} and tried the advice of {who}; {B} will see {A} again {on}.
> {A}, helped so far by {who}, has had {what} for {much} and must come back {on}.
> {B} treats {A}, who has had {what} for {much} and asked {who} first, and sees {A} again {on}.

- sick work | what who when:any how_much:long
A: I cannot come to work. I have {what}.
 / I am calling in sick, because I have {what}.
 / Sorry, boss, I must stay in bed with {what}.
B: Oh dear. Did you see a doctor?
 / That is a pity. What does the doctor say?
A: Yes, I must rest for {much}.
 / Doctor's orders: I stay at home for {much}.
B? Could you work from bed {on2}?
 / But we have the big meeting {on2}.
A? I am sorry, I can hardly hold a spoon.
 / My head feels like a pumpkin.
B: Then {who} will do your work.
 / I will ask {who} to take over.
A: Thank you. I will call you again {on}.
 / That is kind. You will hear from me {on}.
B: Get well soon.
 / Sleep a lot and do not read your mail.
> {A} has {what} and must rest for {much}; {who} takes over and {A} will call {on}.
> {B} asks {who} to work for {A}, who has {what} for {much} and will call {on}.
> {A} stays at home for {much} with {what}, {who} helps out, and {A} will call {B} {on}.

= vet service
what: a limping dog; a sneezing cat; a tired rabbit; a hungry hamster; a fat parrot; a shy turtle; an itchy poodle; \
a sad goldfish; a hiccuping pony
!A Your assistant has let my animal run away!
!A You ask for money before you even look!
!A I drove all night and you are closed!
!B Your animal has just bitten me again!
!B I told you not to feed it chocolate!

- visit | what who when:day how_much:cash
A: Hello, I have {what} at home.
 / I need a vet. I have {what} here.
 / Can you help me? It is about {what}.
B: Poor thing. What is the name of your pet?
 / Oh dear. And what is its name?
A: The name is {who}.
 / We call our pet {who}.
 / It only listens to {who}, or to cheese.
B? You could bring {who} {on2}.
 / Is {when2} good for you?
A? I am not in town then.
 / No, that is when we do yoga.
B: Please bring {who} here {on}.
 / I can look at {who} {on}.
A: And what will it cost?
 / Thank you. Is it expensive?
B: A check costs {much}.
 / You pay {much}, and there is a biscuit for {who}.
> {A} will bring {who}, {what}, to the vet {on} for a check that costs {much}.
> {B} will look at {what} called {who} {on} for {much}.
> {A} has {what} named {who}, and {B} will check it {on} for {much}.

- medicine | who how_much:long what:a green pill;a white powder;a fish oil;a nose spray;a herbal syrup;an eye cream;\
a flea shampoo;a vitamin paste when:any
B: I have looked at {who}. It is nothing serious.
 / Good news, {who} will be fine.
 / Your {who} is a brave animal and will get well.
A: I am so happy. What do I have to do?
 / Thank goodness. Do you have something that helps?
B: Give {who} {what} for {much}.
 / You should use {what} for {much}.
A? Not {what2}, as before?
 / We still have {what2} at home.
B? No, that does not work here.
 / That is only good for elephants.
A: All right. Shall we come again?
 / Do you want to see us again?
B: Yes, please come back {on}.
 / I would like to see {who} again {on}.
A: We will. Say thank you, {who}.
 / Fine, I will bring a net.
> {B} tells {A} to give {who} {what} for {much} and to come back {on}.
> {A} has to give {who} {what} for {much}, and {B} will see them {on}.
> {who} gets {what} for {much}, and {A} must come back to {B} {on}.

- lost friends | who what:a spotted kitten;a black poodle;a green budgie;a lazy tomcat;a tiny puppy;a grey goose;a \
white ferret;a brown donkey when:past where:spot
A: Have you seen {what}? It ran away {on}.
 / I lost {what} {on}. Have you seen it?
 / Please help, I have been looking for {what} since it left {on}.
B: Maybe. What is its name?
 / Perhaps. What do you call it?
A: It is called {who}.
 / The name is {who}, but it never listens.
B: I saw an animal like that {at}.
 / There was one {at} an hour ago.
A? Not {at2}?
 / My brother looked for it {at2}.
B? No, I only saw pigeons there.
 / No, that was a man in a fur coat.
A: Thank you. I will go there right now.
 / You are an angel. I am on my way.
B: Good luck. Take some food with you.
 / I will come along and help.
> {A} lost {what} called {who} {on}, and {B} saw it {at}.
> {B} has seen {what} {at}; {A} is looking for {who} since it ran away {on}.
> {who}, {what}, ran away from {A} {on} and was seen by {B} {at}.
"""
