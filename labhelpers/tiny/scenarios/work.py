"""Interviews, meetings, school, the library and computers."""

TEXT = """
= job work
what: a cook; a gardener; a night guard; a bus driver; a book keeper; a lifeguard; a baker; a tour guide; a violin \
teacher; a store manager
!A You have asked me the same question four times!
!A I came all this way and the job is already gone!
!A You did not even read my letter!
!B You are half a day late for your own interview!
!B Please take your feet off my desk!

- interview | what who how_much:big when:any
B: Thank you for coming. Why do you want this job?
 / Welcome. Please tell me about yourself.
A: I have always wanted to work as {what}.
 / I worked as {what} before, and I liked it.
 / My mother says I was born to be {what}.
B? Did you not apply to be {what2}?
 / It says {what2} on my list.
A? No, that must be somebody else.
 / That was my sister.
B: The pay is {much} a week. Is that all right?
 / We can pay {much} a week.
A: Yes, that is fine. When can I start?
 / I can live with that. When would I begin?
B: You can start {on}. {who} will show you everything.
 / Come {on} and ask for {who}.
A: Wonderful. I will buy a new tie.
 / Thank you, you will not be sorry.
> {A} gets a job as {what} for {much} a week and starts {on} with {who}.
> {B} offers {A} work as {what} for {much} a week, and {who} will help {on}.
> {A} will start as {what} {on}; {B} pays {much} a week and {who} will show {A} everything.

- invitation | who what when:day where:street
B: Hello, I am calling about your letter.
 / Good morning. You wrote to us about a job.
A: Oh yes, I would like to work as {what}.
 / That is right. I want to be {what}.
 / Yes, I hope you still need {what}.
B: We would like to meet you. Can you come {on2}?
 / Are you free for an interview {on2}?
A: I am afraid not, I have an exam then.
 / I am sorry, that does not work for me.
B: What about {when} then?
 / Then please come {on}.
A: That is perfect. Where is it?
 / Yes, of course. Where shall I go?
B: Our office is {at}. Please ask for {who}.
 / We are {at}, and {who} will be waiting.
> {B} invites {A} to an interview for work as {what} with {who} {at} {on}.
> {A} wants to be {what} and will meet {who} {at} {on}.
> {A} has an interview as {what} {on}; {B} says that {who} will be waiting {at}.

- quitting work | who what when:day how_much:long
A: I have to tell you something. I am leaving.
 / I would like to give notice.
 / Boss, please sit down. I have a new job.
B: What a surprise. What will you do?
 / Oh no. Where are you going?
A: I will work as {what}.
 / I found a job as {what}.
B: Who can take over your work?
 / We will miss you. Who will do your work?
A? I first thought of {who2}.
 / Perhaps {who2}.
B? No, that one is leaving as well.
 / Not possible. That one sleeps at the desk.
A: I think {who} can do it. I need {much} to explain it.
 / {who} would be good, after {much} of training.
B: And your last day?
 / When do you want to go?
A: I will go {on}.
 / My last day of work ends {on}.
> {A} leaves {on} to work as {what}; {who} takes over after {much} of training.
> {A} tells {B} about becoming {what}, will go {on}, and will train {who} for {much}.
> {A} will work as {what} from {when}, and {who} needs {much} to learn the old job.

= meeting work
what: the sales report; the new logo; the holiday list; the yearly plan; the office party; the lunch menu; the \
customer survey; the parking rules; the new website
!A You were supposed to have this done last month!
!A I talk and you all play with your phones!
!B You change the plan every single day!
!B This meeting could have been one short message!

- schedule | what who when:day where:room
A: We need to talk about {what}.
 / Can we have a meeting about {what}?
 / I have some ideas for {what}.
B: All right. When do you have time?
 / Good point. When shall we meet?
A? I am free {on2}.
 / Does {when2} work?
B? No, I have another meeting about meetings.
 / Sorry, that is full already.
A: Can you do {when}?
 / I would suggest {when}.
B: Yes. I will book a place {at}.
 / Fine. There is space {at}.
A: Should we ask {who} to join?
 / I think {who} should be there.
B: Of course. {who} knows all about it.
 / Yes, and {who} always brings cake.
> {A} and {B} will meet {who} {at} {on} to talk about {what}.
> {A} wants a meeting about {what}; {B} books a place {at} {on} and {who} will join.
> {B} plans a meeting with {A} and {who} {on} {at} about {what}.

- deadline | what who when:any how_much:long
B: How is it going with {what}?
 / Is {what} ready yet?
 / The boss is asking about {what}.
A: Not so well. I need {much} more.
 / It is not ready. Give me {much}, please.
B: But we must send it {on}.
 / The customer wants to see it {on}.
A: Then I need somebody to help me.
 / I cannot do that alone.
B? You could ask {who2}.
 / I can send you {who2}.
A? No, we still have not found the last file.
 / Please not. We only talk about football.
B: I will ask {who} to help you.
 / Then take {who} from my team.
A: Great, with {who} it will work.
 / Thank you. {who} is fast and makes good coffee.
> {A} needs {much} more for {what}, so {B} sends {who} to help before it is due {on}.
> {B} wants {what} {on}; {A} still needs {much} and will get help from {who}.
> {A} is late with {what} by {much}, and {who} will help, because it must be sent {on}.

- notes | what who when:past how_much:big
A: What did I miss in the meeting {on}?
 / I was ill {on}. What did you talk about?
 / I slept through the meeting {on}. Was it important?
B: We talked about {what}.
 / It was all about {what}.
A? Not about {what2}?
 / I was sure it was about {what2}.
B? No, nobody dared to ask.
 / That comes next, if we live that long.
A: Did you decide anything?
 / And what was the result?
B: Yes. {who} gets {much} to spend on it.
 / We gave {who} {much} for it.
A: That is a lot of money.
 / I should sleep less often.
 / I hope {who} knows what to do with it.
B: I will send you my notes.
 / It will be fine. I made a drawing for you.
> {B} tells {A} that the meeting {on} was about {what} and {who} got {much} for it.
> {A} missed the meeting {on}, where {who} was given {much} for {what}.
> The meeting {on} was about {what}; {B} says {who} may spend {much} on it.

= school work
what: history; chemistry; geography; biology; spelling; algebra; drawing; poetry; swimming; handwriting
!A My child does homework until midnight every day!
!A You have mixed up my child with another one again!
!B Your child has put a frog in my bag!
!B You cannot write the homework yourself!

- evening | who what when:eve where:room
A: Good evening, I am here about my child {who}.
 / Hello, I am the mother of {who}.
 / Hello, I would like to ask about {who}.
B: Nice to meet you. {who} is a lovely child.
 / Welcome. We all like {who}.
A: But how are the marks?
 / Thank you. Is there any problem?
B: There is a problem with {what}.
 / Well, {who} should work more on {what}.
A? Not with {what2}?
 / I was worried about {what2}.
B? No, that is very good.
 / No, there we are all surprised.
A: Can you help?
 / What can we do?
B: There is a help group {on} {at}.
 / Send {who} to our group {at} {on}.
> {B} says that {who} has a problem with {what} and can join a group {at} {on}.
> {A} hears that {who} should work on {what} in the group {at} {on}.
> {who}, the child of {A}, needs help with {what}, which {B} offers {on} {at}.

- trip work | who when:day where:city how_much:cash
B: We are planning a class trip to {where}.
 / The class will go on a trip to {where}.
A: How nice. When will it be?
 / That sounds fun. When do they leave?
B? First we wanted to go {on2}.
 / It was planned for {when2}.
A? Yes, I read that in the letter.
 / And now it has changed?
B: The bus leaves {on}.
 / We go {on}, if the bus wakes up.
A: What does it cost?
 / How much do I pay for {who}?
B: It is {much} for each child.
 / Please give {who} {much} to bring along.
A: Fine. {who} will be so happy.
 / All right. {who} gets sick on the bus, so bring a bag.
> The class of {who} goes to {where} {on}, and {A} has to pay {much}.
> {B} plans a class trip to {where} {on}; {A} pays {much} for {who}.
> {A} will pay {much} so that {who} can go on the trip to {where} {on}.

- tutor friends | who what when:any how_much:cash
A: I am looking for a tutor for {what}.
 / My son needs lessons in {what}.
 / I need help with {what}, or I will fail.
B: I know somebody. {who} is a good teacher.
 / You should ask {who}.
A: What does {who} charge?
 / Is {who} expensive?
B: It is {much} a lesson.
 / You pay {much}, and cookies are welcome.
A? I heard it was {much2}.
 / For {much2} I would say yes at once.
B? Good teachers are not found on trees.
 / That was before {who} became famous.
A: Fine. When could we begin?
 / All right. Is there time this week?
B: I think {who} is free {on}.
 / You can start {on}. I will tell {who}.
> {A} wants help with {what}, and {B} suggests {who}, who charges {much} and is free {on}.
> {B} knows {who}, a tutor for {what}, who takes {much} and can start {on}.
> {who} can teach {what} {on} for {much}, as {B} tells {A}.

= library service
what: a book about whales; a crime novel; a travel guide; a cook book; a book of fairy tales; a science magazine; a \
comic book; a dictionary; a book about knots
!A I have paid that fine already and you know it!
!A Somebody has torn out the last page of every book!
!B You cannot fry eggs in a reading room!
!B Please be quiet, this is a library and not a market!

- loan | what who when:any how_much:long
A: I would like to borrow {what}.
 / Do you have {what} here?
 / I am looking for {what}.
B: It is on loan. {who} has it at the moment.
 / Sorry, {who} is reading it right now.
A: When will it be back?
 / That is a pity. When can I have it?
B: It should be here {on}.
 / It is due {on}.
A? Could I take {what2} in the meantime?
 / And {what2}, is that here?
B? No, a goat has eaten that one.
 / That is gone too, I fear.
A: How long may I keep it then?
 / Please keep it for me. For how long can I have it?
B: You can have it for {much}.
 / For {much}, and please do not read it in the bath.
> {A} can borrow {what} {on} for {much}, when {who} has brought it back.
> {B} says {who} will return {what} {on}, and {A} may keep it for {much}.
> {A} wants {what}, which {who} has until {when}; the loan is for {much}.

- fine | what who how_much:cash when:past
B: This is late. You should have brought back {what} {on}.
 / There is a problem. You still had {what} {on}.
A: I am sorry. I gave it to {who} and forgot.
 / Oh, that was {who}. I lent it out.
 / My flatmate {who} used it as a pillow.
B: I see, but there is a fine.
 / I understand, but rules are rules.
A: How much do I have to pay?
 / Is it a big fine?
B: It is {much}, please.
 / You owe us {much}.
A? Is it not {much2}?
 / The sign says {much2}.
B? The sign is older than me.
 / That is for children.
A: Here you are. {who} will pay me back.
 / All right. I will get it from {who}.
> {A} pays a fine of {much} because {who} had {what}, which was due {on}.
> {B} asks {A} for {much} because {what}, lent to {who}, was due {on}.
> {A} gave {what} to {who}, did not return it {on}, and has to pay {B} {much}.

- reading | who when:eve where:room what
A: Is there a reading here this week?
 / I saw a poster about a reading.
B: Yes, the writer {who} will be here {on}.
 / That is right. {who} is coming {on}.
A? Was it not {who2}?
 / I thought {who2} would come.
B? No, that was last month and nobody clapped.
 / No, that one has lost the voice.
A: What will {who} read?
 / Great. What is it about?
B: I think {who} reads from {what}.
 / It says {what} on the list.
 / From {what}, with all the voices.
A: And where will it be?
 / Good. Where do I have to go?
B: It takes place {at}.
 / Come and sit with us {at}.
A: I will bring my grandmother.
 / I would not miss it for the world.
> The writer {who} will read from {what} {at} {on}, and {A} wants to come.
> {B} tells {A} that {who} reads from {what} {on} {at}.
> {A} will go to the reading of {who} {at} {on}, and {B} says it is from {what}.

= computer work
what: a new laptop; a wireless mouse; a second screen; a printer cable; a web camera; a backup disk; a headset; a \
password reset; a faster modem
!A My screen is black and I have a talk in a minute!
!A Your update has eaten all my files!
!A I have turned it off and on all day!
!B You have poured tea into it again!
!B You wrote your password on the door!

- support | what who where:room when:any
A: My computer does not work. I need {what}.
 / Is this the help desk? I need {what}.
 / Please help. I think I need {what}.
B: Did you turn it off and on again?
 / What did you do to it this time?
A: Yes, and then it played a sad song.
 / Of course. It only shows a picture of a cloud.
B: All right, I will send {who} to you.
 / Then {who} will have a look. Where are you?
A: I am {at}. When will {who} come?
 / You find me {at}. When can I expect {who}?
B? Can you wait until {when2}?
 / Is {when2} early enough?
A? No, I have a talk before that.
 / I would grow a beard by then.
B: {who} will be there {on}.
 / You can count on {who} {on}.
> {A} needs {what}, so {B} sends {who} to help {at} {on}.
> {B} will send {who} to {A}, {at}, {on} because of {what}.
> {A}, who works {at}, asks for {what}, and {who} will come {on}.

- purchase work | what how_much:big who when:any
A: I would like to order {what} for the office.
 / Can we buy {what}?
 / My old one is smoking. Can I get {what}?
B: How much is it?
 / What would that cost us?
A: The price is {much}.
 / I found one for {much}.
B? There is a cheap one for {much2}.
 / I have seen it for {much2}.
A? That one is used and smells of fish.
 / That is without the cable.
B: Then {who} has to sign the form.
 / I am fine with it, but {who} must agree.
A: I will ask {who} today.
 / No problem, {who} owes me a favour.
B: Good. We can order it {on}.
 / Then it should arrive {on}.
> {A} wants {what} for {much}; {who} must agree and it can be ordered for {when}.
> {B} lets {A} order {what} for {much} {on} if {who} signs the form.
> {A} will ask {who} to agree to {what}, which costs {much}, and {B} plans it for {when}.

- course work | who when:day where:room how_much:long
A: Are you going to the computer course?
 / Have you signed up for the computer course?
B: I do not know yet. Who teaches it?
 / Maybe. Who is the teacher?
A: {who} from the head office.
 / It is {who}, who can type with the eyes closed.
B: And when is it?
 / When do they start?
A? They wrote {when2}, but that is wrong.
 / It was {when2} at first.
B? Lucky me, I could not come then.
 / Good, because I work at home then.
A: It starts {on} and takes {much}.
 / We begin {on}. It goes on for {much}.
B: I will come. Where is it?
 / Count me in. Where do we meet?
A: We meet {at}. Bring a pen.
 / It is {at}, near the coffee machine.
> {A} and {B} will go to the computer course of {who} {at} {on}, which takes {much}.
> {A} tells {B} about the computer course {on} {at}; {who} teaches for {much}.
> {B} joins {A} in the computer course by {who}, which starts {on} {at} and takes {much}.
"""
