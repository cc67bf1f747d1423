"""Flats, moving, neighbours and cooking."""

TEXT = """
= flat service
what: a flat with two bedrooms; a studio flat; a flat with a terrace; a furnished flat; a flat with a fireplace; a \
loft; a flat with a garage; a flat under the roof
!A The last three flats had no windows at all!
!A I have taken a day off and you did not even show up!
!A You call this a kitchen and I call it a shelf!
!B I have shown you every flat in this town!
!B You cannot move in before you sign anything!

- viewing | what when:day where:street how_much:big
A: I saw your advert for {what}.
 / Hello, is {what} still free?
 / I am calling about {what}.
B: Yes, it is still free. It is {at}.
 / You are the tenth caller today. It is {at}.
A: How much is the rent?
 / And what does it cost a month?
B: The rent is {much} a month.
 / It is {much}, and the heating works most days.
A? The advert says {much2}.
 / I thought it was {much2}.
B? That was a printing error.
 / No, that is the one with the ghost.
A: When can I see it?
 / Could I have a look this week?
B: Come {on}, and please ring twice.
 / I can show it to you {on}.
> {A} will see {what} {at} {on}; the rent is {much}.
> {B} offers {A} {what} {at} for {much} a month and will show it {on}.
> {A} asks about {what} {at}, which costs {much} a month, and may visit {on}.

- noise service | who when:past where:room what:loud music;a drum lesson;a barking dog;a noisy party;a crying \
trumpet;a washing machine;a karaoke night;a tap dance
A: I want to complain about the noise in our house.
 / Can I talk to you about the noise?
 / I have not slept well, because of the noise.
B: I am the house manager, so please tell me more.
 / Of course. What did you hear?
A: There was {what} {on}. It came from the person {at}.
 / I heard {what} {on}, and it came from the person {at}.
B? Was it {who2} again?
 / Do you think it was {who2}?
A? No, that one is as quiet as a fish.
 / No, that one moved out.
B: That must be {who}.
 / Ah, I know. {who} lives there.
A: Yes. Please ask {who} to think of the others.
 / Right. Could you speak to {who}?
B: I will do it today.
 / I will, and I will bring ear plugs for you.
> {A} complains about {what} {on}, and {B} will speak to {who}, who lives {at}.
> {B} promises to talk to {who} {at} because {A} was kept awake by {what} {on}.
> {A} heard {what} {on} from {who}, the person {at}, and {B} will help.

- roommate friends | who when:any how_much:big where:street
B: I hear you have a free room.
 / Are you still looking for someone to share the flat?
A: Yes. {who} is moving out, so there is space.
 / I am, because {who} found a place with a pool.
B: Where is the flat?
 / Is it far from here?
A: It is {at}, and it costs {much} a month.
 / It is {at}. You would pay {much}.
B? I can only pay {much2}.
 / My limit was {much2}.
A? Then you would have to sleep in the bath.
 / You can save the rest on heating, I fear.
B: Fine. Can I come and see it {on}?
 / I like that. I could come {on}.
A: Sure. I will hide the dirty plates.
 / Yes, {who} will still be there to say hello.
> {who} is moving out, so {B} will see the room {at} for {much} {on}.
> {A} offers {B} the room of {who} {at} for {much}, and {B} will visit {on}.
> {B} wants to see the flat {at} {on} and would pay {much} for the room that {who} leaves.

= moving friends
what: the piano; the big sofa; the bookshelf; the fish tank; the wardrobe; the fridge; the marble table; the plant \
collection; the old mirror
!A You promised to help and now you just sit there!
!A That box said fragile and you threw it!
!B You packed stones in here, I am sure of it!
!B My back hurts and you only give orders!

- help | what who when:any where:street
A: I am moving to a new place {at}.
 / Have you heard? I found a flat {at}.
 / Soon I will live {at}.
B: Congratulations. Do you need help?
 / How exciting. Can I do something for you?
A: Yes, please. I cannot carry {what} alone.
 / That would be great, {what} is so heavy.
B: When will you do it?
 / Sure. What day is it?
A: We start {on}.
 / I want to begin {on}.
B? Could we do it {on2}?
 / I have more time {on2}.
A? No, the truck is not free then.
 / That is too late, I must be out by then.
B: I will be there and bring {who}.
 / No problem. {who} is strong and will come too.
> {A} moves to a flat {at} {on}, and {B} will bring {who} to help with {what}.
> {B} and {who} will help {A} to carry {what} to the new flat {at} {on}.
> {A} is moving {on}; {B} and {who} will carry {what} to the place {at}.

- truck friends | who when:any how_much:big what
A: How do we get {what} to the new house?
 / I do not know how to move {what}.
 / We have a problem. I can lift {what2}, but not {what}.
B: We need a truck. {who} can lend us one.
 / Let us ask {who} for the big truck.
A: Does {who} want money for it?
 / What will that cost?
B: It is {much} for the day.
 / The price is {much}, with a full tank.
A? I would rather pay {much2}.
 / Is {much2} not enough?
B? We can also use a bicycle and hope.
 / Then you must sing for the rest.
A: That is all right. Can we have it {on}?
 / Agreed. I need it {on}.
B: I will call and ask.
 / Consider it done.
> {A} and {B} will rent a truck from {who} {on} for {much} to move {what}.
> {B} suggests a truck from {who} for {much}, so that {A} can move {what} {on}.
> {A} needs a truck {on} to move {what}, and {who} has one for {much}.

- damage service | what who when:past how_much:big
A: Your men have broken {what}.
 / I am calling because {what} arrived in pieces.
 / Something bad happened to {what}.
B: I am very sorry. When did that happen?
 / Oh no. Was that during the move?
A: It was {on}. It fell down the stairs.
 / It happened {on}, right in front of my eyes.
B: Who was carrying it?
 / Do you know who did it?
A? At first I thought it was {who2}.
 / Not {who2}, who was very careful.
B? No, I see that somebody else was there.
 / Good, that one never drops a thing.
A: It was {who}. I need {much} for a new one.
 / Somebody called {who}. It is worth {much}.
B: We will pay, I promise.
 / You will get the money, and an apology.
> {who} broke {what} {on}, and {B} will pay {A} {much}.
> {A} says that {who} damaged {what} {on}; {B} promises to pay {much}.
> {B} agrees to pay {much} because {who} dropped {what} {on} during the move of {A}.

= neighbours friends
what: a ladder; a power drill; a lawn mower; a hammer; a garden hose; a saw; a paint roller; a wheelbarrow; a pair \
of pliers; a leaf blower
!A You still have the one you took in spring!
!A Your goat is eating my roses again!
!B You never bring anything back in one piece!
!B It is six in the morning and you want to borrow things!

- borrow | what who when:any how_much:long
A: Hi neighbour, could I borrow {what}?
 / Good morning. Do you have {what}?
 / Sorry to bother you, I need {what}.
B: I do. What do you need it for?
 / Maybe. What are you up to?
A: I want to help {who} with the garden.
 / I promised {who} to repair the fence.
 / The bird house of {who} fell on the cat.
B: How long will you keep it?
 / All right. For how long?
A? Is {much2} all right?
 / I thought of {much2}.
B? That is too long for me.
 / Hm, last time that meant a year.
A: I need it for {much}, starting {when}.
 / For {much}. Can I get it {on}?
B: Fine, but please clean it this time.
 / Sure, just ring the bell.
> {A} borrows {what} from {B} {on} for {much} to help {who}.
> {B} lends {A} {what} for {much} from {when} because {who} needs help.
> {A} wants to help {who} and may use {what} of {B} {on} for {much}.

- plants friends | who when:any where:city what:the tomatoes;the roses;the cactus;the herbs;the orchids;the palm \
tree;the sunflowers;the lemon trees
A: I am going to {where} for a while.
 / We are off to {where} soon.
 / My family and I are going to {where}.
B: How nice. When do you leave?
 / I am jealous. When is it?
A: We leave {on}. Could you water {what}?
 / I go {on}. Can you look after {what}?
B? And {what2} too?
 / Is that all, or {what2} as well?
A? No, those are made of plastic.
 / No, those can look after themselves.
B: Sure. Who has the key?
 / Of course. How do I get in?
A: {who} has the key.
 / You can get the key from {who}.
B: Then have a great time.
 / No problem. I will even sing to them.
> {A} goes to {where} {on}, so {B} gets the key from {who} and waters {what}.
> {B} will water {what} while {A} is in {where} from {when}; {who} has the key.
> {A} asks {B} to look after {what}; {A} leaves for {where} {on} and {who} keeps the key.

- parcel friends | who when:past where:room what:a small parcel;a long box;a large envelope;a heavy crate;a round \
tin;a soft package;a wooden box;a postcard
B: Hello, I think you have something for me.
 / Hi, I got a note from the postman.
 / Good evening. The postman says you took something for me.
A: Yes, the postman left {what} here {on}.
 / That is right, {what} came for you {on}.
B? Is it {what2}?
 / I am waiting for {what2}.
A? No, it does not look like that.
 / Sadly not. It smells of cheese.
B: Great. It must be from {who}.
 / Finally. I hope it is from {who}.
A: It is, I read the name. I will get it.
 / Yes, {who} is written on it. Which door is yours?
B: I live {at}, just knock.
 / You find me {at}, and there is tea.
A: Fine, I will bring it up later.
 / I will carry it over in a minute.
> {A} took {what} from {who} {on} and will bring it to {B} {at}.
> {B}, who lives {at}, will get {what} from {who} that came {on}.
> The postman left {what} from {who} with {A} {on}; {B} lives {at}.

= cooking friends
what: an onion soup; a potato salad; a cheese cake; a tomato pie; a chicken curry; a pot of chili; a plum cake; a \
vegetable lasagne; a rice pudding
!A You have put sugar in it instead of salt!
!A The whole kitchen is full of smoke because of you!
!B You always say my food tastes like cardboard!
!B Stop eating everything before the guests come!

- plan | what who when:eve how_much:party
A: What are you cooking {on}?
 / Do you know what to cook {on}?
B? Perhaps {what2}.
 / I thought of {what2}.
A? Not that again. It took me a week to clean the oven.
 / We had that last time, remember?
B: I want to make {what}.
 / Let me make {what}. I have a new recipe.
A: Nice. How many will we be?
 / Mm, good. Who is coming?
B: There will be {much}, and {who} is coming too.
 / It is for {much}. You know {who}, who eats like a horse.
A: Then I will help you in the kitchen.
 / I will bring bread and a fire extinguisher.
 / Great, {who} loves that.
> {B} will cook {what} for {much} {on}, and {who} is coming.
> {A} learns that {B} makes {what} {on} for {much}, among them {who}.
> {B} plans {what} for {much} {on}, and {A} is glad that {who} will come.

- recipe | what who how_much:short where:eat
A: This is so good. What is it?
 / I love this. What did you make?
 / Wow, my mouth is happy. What is this?
B: It is {what}. I got the recipe from {who}.
 / You are eating {what}. {who} taught me.
A: I have only had that at {where}.
 / It tastes like the one at {where}.
B: That is because {who} is the cook there.
 / No surprise. {who} works there.
A: Does it take long to make?
 / Is it difficult?
B: You need {much}, and no fear.
 / It takes {much} and one clean spoon.
A: I will try it at home.
 / That is longer than my marriage, but I will try.
> {B} made {what} in {much} with a recipe from {who}, the cook at {where}.
> {A} loves {what}, which takes {much}; {B} got the recipe from {who} of {where}.
> {B} tells {A} that {who}, the cook at {where}, makes {what} and that it takes {much}.

- class friends | who when:eve where:street how_much:cash
A: Would you like to join a cooking class with me?
 / I found a cooking class. Are you in?
B: Why not. Who is the teacher?
 / My pans are afraid, but yes. Who teaches it?
A: The teacher is {who}. It is {at}.
 / It is {who}, in the school {at}.
B: When does it start?
 / Good. When is the first lesson?
A? I asked for {when2}.
 / First they told me {when2}.
B? I have choir practice then.
 / I hope not. I sleep then.
A: The first lesson is {when}.
 / We start {on}.
B: And what do they charge?
 / Is it expensive?
A: It is {much} each.
 / They charge {much}, and you can eat it all.
> {A} and {B} will take a cooking class with {who} {at} {on} for {much}.
> {A} invites {B} to the cooking class of {who} {at}, which starts {on} and costs {much}.
> The cooking class by {who} costs {much}; {A} and {B} will go {at} {on}.
"""
