"""Football, the cinema, the gym, birthdays, music and picnics."""

TEXT = """
= football friends
what: a team shirt; a lucky scarf; a big flag; a loud whistle; a seat cushion; a bag of peanuts; a rain hat; a box \
of sandwiches; a club cap
!A You have lost the tickets again!
!A We lost because you kicked it into our own goal!
!B You shout so loud that the whole block is staring!
!B I told you to be here before the match begins!

- match | who when:any where:city how_much:tickets
A: Do you want to see the match {on}?
 / There is a big match {on}. Are you coming?
 / Will you go to the match {on}?
B: I would love to. Where is it?
 / Sure. Are they playing at home?
A: No, they play in {where}.
 / It is in {where}, so we need a car.
B? I thought they play in {where2}.
 / Not in {where2}?
A? No, the grass there has moles.
 / That was the last round.
B: Do you have tickets?
 / Can we still get in?
A: I have {much}. {who} bought them.
 / Yes, {who} gave me {much}.
B: Great. I will bring the drinks.
 / Then let us hope that they find the goal this time.
> {A} and {B} will see the match in {where} {on} with {much} from {who}.
> {A} got {much} from {who} for the match {on} in {where}, and {B} will come.
> {B} joins {A} for the match in {where} {on}; {who} bought {much}.

- practice | who when:any where:spot what
A: When is the next practice?
 / Do we train this week?
B: Yes, we meet {on}.
 / Our coach wants to see us {on}.
A? Is it {at2} as always?
 / And we meet {at2}, right?
B? No, there is a flower show.
 / Not this time. The cows are there.
A: Where do we meet then?
 / Good. And where is it?
B: We meet {at}.
 / We start {at}, because of the rain.
A: Is {who} coming too?
 / I hope {who} is fit again.
B: Yes, {who} will be there. Please bring {what}.
 / Sure, {who} never misses it. And do not forget {what}.
A: I will pack {what} right now.
 / No problem, it is in my bag.
> {A} and {B} will train with {who} {at} {on}, and {A} brings {what}.
> {B} says that practice is {at} {on}; {A} has to bring {what} and {who} will come.
> {A} will bring {what} to the practice {on} {at}, where {who} will also be.

- injury | who when:past how_much:long where:city
A: Did you hear about {who}?
 / Have you seen what happened to {who}?
B: No, what happened?
 / Not yet. Tell me.
A: {who} fell in the match in {where}.
 / In the game in {where} {who} ran into a goal post.
B: Oh no. When was that?
 / Poor {who}. When was it?
A? Not {on2}, as the paper says.
 / The radio said {when2}.
B? I never trust them.
 / They also said that we would win.
A: It was {on}.
 / It happened {on}.
B: How long will {who} be out?
 / Is it bad?
A: The doctor says {much}.
 / It takes {much} until {who} can play.
B: Then we will lose every match.
 / I will send some flowers and a helmet.
> {who} fell in a match in {where} {on} and cannot play for {much}.
> {A} tells {B} that {who} was hurt in {where} {on} and will be out for {much}.
> {B} hears that {who} will not play for {much} after a match in {where} {on}.

= cinema friends
what: The Lost Island; The Silent Clock; Moon Over Paris; The Last Dragon; A Summer Song; Robots at Night; The Paper \
Boat; My Cousin the King; Ten Green Hats
!A You have told me the ending again!
!A The man in front of me wears a hat like a tower!
!B You talk through every single film!
!B I have been standing in the rain with your popcorn!

- plan | what who when:eve how_much:cash
A: Let us go to the cinema {on}.
 / Do you want to watch a film {on}?
B: Good idea. What shall we see?
 / Sure. Which film?
A? We could see {what2}.
 / What about {what2}?
B? I have seen that twice, and I cried both times.
 / No, that is too scary for me.
A: I would like to see {what}.
 / They are showing {what}.
B: Fine. How much is a ticket?
 / I like that. What does it cost?
A: It is {much}, and {who} wants to come too.
 / Only {much}. I will ask {who} as well.
B: Then I will sit next to {who}.
 / Great, {who} always shares the popcorn.
> {A} and {B} will see {what} with {who} {on} for {much}.
> {A} invites {B} and {who} to watch {what} {on}; a ticket costs {much}.
> {B} will go with {A} and {who} to see {what} {on}, and it costs {much}.

- tickets | what when:eve how_much:tickets where:room
A: I would like {much} for {what}.
 / Can I have {much} for {what}, please?
 / Hello, {much} for {what}, please.
B: For which show?
 / Sure. What time do you want to come?
A? The one {on2}.
 / I want to come {on2}.
B? Sorry, a school class has bought all the seats.
 / There is no show then. We clean the popcorn machine.
A: We want to see it {on}.
 / Then the show {on}, please.
B: Good. It is shown {at}.
 / You will be {at}, in the last row.
A: Can we bring our own drinks?
 / Is it a good film?
B: Yes, but please no soup.
 / My grandmother fell asleep, but she liked it.
> {A} buys {much} for {what}, which is shown {on} {at}.
> {B} sells {A} {much} for {what} {on}, shown {at}.
> {A} will see {what} {at} {on} and gets {much} from {B}.

- review | what who when:past where:city
A: What did you do {on}?
 / Did you have fun {on}?
B: I saw {what} in {where}.
 / I was in {where} and watched {what}.
A? I wanted to see {what2} there.
 / Not {what2}?
B? That one was sold out.
 / No, I do not like films with singing cows.
A: Did you go alone?
 / Who was with you?
B: I went with {who}.
 / My friend {who} came along.
A: And how was it?
 / Did you like it?
B: I loved it, but {who} slept all the time.
 / It was great. {who} laughed so much that the seat broke.
A: Then I want to see it too.
 / Please do not tell me the ending.
> {B} saw {what} with {who} in {where} {on} and liked it.
> {B} tells {A} about {what}, the film that {who} also saw in {where} {on}.
> {A} hears that {B} went to {where} {on} to watch {what} with {who}.

= gym service
what: a yoga class; a dance class; a boxing class; a spinning class; a swim pass; a sauna pass; a climbing course; a \
monthly pass; a yearly pass
!A Your shower has been cold for a whole month!
!A I have tried to leave this club since last year!
!A Somebody has stolen my shoes from the locker!
!B You cannot park your bicycle in the sauna!
!B You have broken the third machine this week!

- joining service | what who when:any how_much:cash
A: I want to get fit. Do you have {what}?
 / Hello, I am interested in {what}.
 / My trousers say that I need {what}.
B: Yes, we do. It costs {much}.
 / Sure. You pay {much} for that.
A? And what is the price of {what2}?
 / Do you also have {what2}?
B? Not any more, I am sorry.
 / That is only for people over ninety.
A: All right. Who is the trainer?
 / That is fine. Who will help me?
B: Our trainer is {who}.
 / You will be with {who}, who never gets tired.
A: When can I start?
 / And when do I begin?
B: You can start {on}. Bring a towel.
 / Come {on} and eat something before.
> {A} signs up for {what} with {who}, which costs {much} and starts {on}.
> {B} sells {A} {what} for {much}; the trainer {who} will start {on}.
> {A} wants {what} for {much} and can start with {who} {on}.

- leaving | what when:day who how_much:cash
A: I would like to stop {what}.
 / I want to end {what}, please.
 / My knees say I must stop {what}.
B: What a pity. May I ask why?
 / Oh, did you not like it?
A: I have too much work.
 / My sofa misses me.
 / I only came here for the coffee.
B: Then we give you {much} back.
 / I understand. You will get {much}.
A? I paid more. Should it not be {much2}?
 / I counted {much2}.
B? You have used all the towels.
 / No, the rest was for the locker.
A: Fine. When does it end?
 / Good. Until when can I come?
B: It ends {on}. Please give your key to {who}.
 / You are free {on}. {who} will take your key.
> {A} wants to stop {what}; it ends {on}, {who} takes the key and {B} returns {much}.
> {B} gives {A} {much} back for {what}, which ends {on}, and {who} gets the key.
> {A} ends {what} {on}, gives the key to {who}, and gets {much} from {B}.

- buddy friends | who when:any where:street what:a rowing class;a judo class;an evening run;a stretching hour;a \
tennis lesson;a karate course;a jazz dance class;a water polo game
A: Shall we do some sport together?
 / I need somebody to do sport with me.
 / I ate a whole cake. Will you train with me?
B: Sure. What do you want to do?
 / Why not. What do you have in mind?
A: I found {what} in the gym {at}.
 / There is {what} in the new gym {at}.
B? I would prefer {what2}.
 / Do they have {what2}?
A? No, I looked for that too.
 / No, the floor is too weak for that.
B: Fine. When do we go?
 / Sounds good. What day?
A: We could go {on}.
 / I would say {when}.
B: Good. I will ask {who} too.
 / Yes, and {who} can drive us.
A: The more the better.
 / Fine, then {who} can carry me home.
> {A} and {B} will go to {what} {at} {on}, and {who} may come too.
> {A} found {what} in a gym {at}; {B} will come {on} and ask {who}.
> {B} agrees to try {what} {at} with {A} {on} and brings {who}.

= birthday friends
what: a chocolate cake; a box of balloons; a magic show; a carrot cake; a bouncy castle; a paper crown; a treasure \
hunt; a puppet show; a fruit punch
!A You have told everybody about the surprise!
!A You forgot my birthday and now you want cake!
!B You invited half the town and bought one pizza!
!B The dog has eaten the candles because of you!

- surprise | who what when:eve where:spot
A: We should have a surprise party for {who}.
 / It is the birthday of {who} soon. Let us do something.
 / Can you keep a secret? I want to plan a party for {who}.
B: What a lovely idea. When?
 / Great. When should it be?
A: I thought of {when}.
 / It would be {on}.
B: And where? Your flat is so small.
 / Where shall we meet?
A? Is {where2} good?
 / We could meet {at2}.
B? No, we are not allowed back there.
 / That is too windy for candles.
A: Let us do it {at}.
 / I would do it {at}.
B: I will bring {what}.
 / Good. I can get {what}.
A: Perfect, but not a word to {who}.
 / Wonderful. {who} will fall off the chair.
> {A} plans a surprise party for {who} {at} {on}, and {B} will bring {what}.
> {A} and {B} will surprise {who} {on} {at} with {what}.
> {B} brings {what} to the surprise party for {who}, which {A} plans {at} {on}.

- invite | who when:any where:street how_much:party
A: Would you like to come to my birthday party?
 / I am giving a birthday party. Will you come?
B: With pleasure. When is it?
 / Thank you for asking. When does it start?
A: It is {on} at my place {at}.
 / Come {on}. I live {at} now.
B: Will there be many people?
 / How many guests do you have?
A? I invited {much2} at first.
 / My mother wanted {much2}.
B? And you have one chair.
 / That would be a crowd.
A: It is for {much}. You know {who}, of course.
 / Only {much}. {who} is coming too.
B: Great, I have not seen {who} for ages.
 / I hope {who} brings the guitar.
> {A} invites {B} to a birthday party for {much} {at} {on}; {who} will be there.
> {B} will go to the birthday party of {A} {at} {on} with {much}, among them {who}.
> {A} gives a party {at} {on} for {much}, and {B} is glad that {who} comes.

- order service | who what when:any how_much:cash
A: I would like to order {what} for a birthday.
 / Hello, can I order {what} from you?
 / It is for a party. Do you have {what}?
B: Of course. Whose birthday is it?
 / Gladly. Who is the lucky one?
A: It is for my child {who}.
 / It is for {who}, who will be five.
B? We could also do {what2}.
 / Most children want {what2}.
A? We had that last year, and the police came.
 / No, thank you. My child was very clear.
B: When do you need it?
 / And for what day?
A: I need it {on}.
 / The party is {on}.
B: Good. That makes {much}.
 / I will note it down. You pay {much}.
A: Here you are. {who} will be so happy.
 / That is all right for a happy child.
> {A} orders {what} for the birthday of {who} {on} and pays {much}.
> {B} will have {what} ready {on} for the party of {who}, for {much}.
> {A} pays {much} for {what}, which {who} will get {on}.

= music work
what: the drums; the cello; the flute; the trumpet; the harp; the banjo; the tuba; the saxophone; the accordion
!A You play so loud that the windows shake!
!A I have paid for lessons and you never come!
!B You have not practised one note since last week!
!B That was the wrong song for the third time!

- lesson | what who when:any how_much:cash
A: I want to learn {what}.
 / Hello, do you give lessons for {what}?
 / I am too old for this, but I want to play {what}.
B: Very good. It is never too late.
 / That is a fine choice. Your neighbours will love it.
A: How much is a lesson?
 / What do you charge?
B: A lesson costs {much}.
 / It is {much}, with free ear plugs.
A? My friend pays {much2}.
 / I have only {much2} with me.
B? We are worth every coin.
 / You can pay the next time.
A: Fine. Who will teach me?
 / All right. Who is the teacher?
B: {who} will teach you {on}.
 / Our best teacher is {who}, who is free {on}.
> {A} wants to learn {what} with {who}, and the first lesson {on} costs {much}.
> {B} says that {who} can teach {A} {what} {on} for {much}.
> {A} will take lessons for {what} from {who}, starting {when}, at {much} each.

- concert friends | who what when:eve where:spot
A: Our band will play in town. Will you come?
 / We have a concert soon. Do you want to come?
B: I would love to. When is it?
 / If I can sit near the exit, yes. When?
A: It is {on}.
 / We start {on}.
B? Was it not {when2}?
 / I wrote down {when2}.
A? That was before our singer got a cold.
 / No, then we only set up.
B: And where do you play?
 / Good. Where is it?
A: We play {at}.
 / You can hear us {at}, and also far away.
B: Is {who} in the band too?
 / Does {who} still play with you?
A: Yes, {who} plays {what}.
 / Of course. {who} has {what} this time.
> {A} will play a concert {at} {on}, with {who} on {what}.
> {B} wants to come to the concert {at} {on}, where {who} plays {what}.
> The band of {A} plays {at} {on}; {who} will play {what} and {B} will come.

- rent service | what how_much:cash when:any where:street
A: I would like to rent {what}.
 / Can I rent {what} from your shop?
 / I need {what}, but my flat is too small to keep it.
B: Sure. When do you need it?
 / Yes, you can. From when?
A? I need it {on2}.
 / Could I have it {on2}?
B? It is at a wedding then.
 / Not then. It will be in the bath, I mean, being cleaned.
A: I could take it {on}.
 / Then {when} would be good.
B: Fine. The rent is {much} a week.
 / You pay {much} a week.
A: Where is your shop?
 / And where can I get it?
B: You find us {at}.
 / We are {at}. Just follow the noise.
A: Good, see you there.
 / I will come with a big car.
> {A} will rent {what} for {much} a week from {when} at the shop {at}.
> {B} rents out {what} to {A} {on} for {much} a week; the shop is {at}.
> {A} can get {what} {on} in the shop {at} for {much} a week.

= picnic friends
what: a basket of fruit; a bottle of juice; a big blanket; a bowl of noodles; a loaf of bread; a pot of honey; a jar \
of olives; a lemon tart; a folding chair
!A You have sat on the sandwiches!
!A We drove for hours and you forgot the food!
!B The ants have eaten everything because you did not close the lid!
!B You said it would be sunny and now we are all wet!

- weekend | what who when:day where:spot
A: Shall we have a picnic?
 / The weather is so nice. Let us have a picnic.
 / I am tired of my kitchen. Let us eat outside.
B: Yes, let us do that. When?
 / I am in. What day?
A: I have time {on}.
 / Let us do it {on}.
B: Where should we go?
 / Do you know a nice place?
A? We could sit {at2}.
 / Is it nice {at2}?
B? There are too many wasps.
 / No, a swan attacked me there once.
A: Then let us meet {at}.
 / We can sit {at}.
B: I will bring {what}.
 / Fine. I have {what} at home.
A: And I will ask {who} to come.
 / Good. {who} will join us too.
> {A} and {B} will have a picnic with {who} {at} {on}, and {B} brings {what}.
> {A} plans a picnic {at} {on}; {B} brings {what} and {who} will join them.
> {B} will bring {what} to the picnic with {A} and {who} {on} {at}.

- guests | what who how_much:party when:day
B: How many are we for the picnic?
 / Who is coming to the picnic?
A: There are {much} on my list.
 / I have {much}, and a dog.
B? Not {much2}?
 / In my list there are {much2}.
A? No, some of them are allergic to grass.
 / Some are afraid of ducks.
B: And when do we start?
 / Good. When was it again?
A: We start {on}.
 / It is {on}, as I wrote.
B: Does {who} bring something?
 / What will {who} bring?
A: Yes, {who} brings {what}.
 / I asked {who} for {what}.
B: I hope {who} does not forget it.
 / Then nobody will be hungry.
 / Good. Last time it was one egg for all.
> The picnic {on} is for {much}, and {who} brings {what}.
> {A} tells {B} that {much} will come to the picnic {on} and {who} brings {what}.
> {B} hears from {A} about the picnic {on} with {much}; {who} will bring {what}.

- forgotten | what who when:past where:spot
A: I think I left {what} at the picnic {on}.
 / Do you have {what}? I missed it after the picnic {on}.
 / After the picnic {on} I could not find {what}.
B: Let me think. Where did you sit?
 / Hm. Where did you put it?
A: I was {at} most of the time.
 / We sat {at}, near the water.
B? Did {who2} not take it?
 / Did you ask {who2}?
A? Yes, but the answer was no.
 / I did, and we are not talking now.
B: Wait, {who} had it in the end.
 / I remember now. {who} took it home.
A: Really? Then I will call {who}.
 / That is good news. {who} lives next door.
B: Hurry up, before it is gone.
 / Be quick. {who} loves such things.
> {A} left {what} {at} {on}, and {B} remembers that {who} took it.
> {who} has {what}, which {A} forgot {at} at the picnic {on}.
> {A} misses {what} since the picnic {at} {on}; {B} says to ask {who}.
"""
