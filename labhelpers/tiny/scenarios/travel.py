"""Trains, hotels, lost luggage and taxis (the notation is explained in the package's docstring)."""

TEXT = """
= train service
what: a return ticket; a single ticket; a window seat; a seat in the quiet car; a first class seat; a family ticket; \
a bicycle pass; a sleeper bed; a student ticket
!A The train is late again and nobody tells us anything!
!A I have missed my train because of this queue!
!A Your ticket machine has eaten my money twice!
!B Sir, the whole queue is waiting behind you!
!B I sell tickets, I do not drive the train!

- ticket | what when:any where:city how_much:cash
A: I need {what} to {where}, please.
 / Hello, can I buy {what} to {where}?
 / Do you still have {what} to {where}?
B: Of course. When would you like to travel?
 / Certainly. For which day?
 / Let me look. When do you want to leave?
A? Is there a train {on2}?
 / I was hoping to leave {on2}.
B? I am afraid that one is full.
 / No, that train is sleeping in the workshop.
A: I will go {on}.
 / Then {when} suits me best.
 / Please make it {when}.
B: That will be {much}, please.
 / Good choice. It costs {much}.
 / The price is {much}, and the view is free.
> {A} buys {what} to {where} for {much} and will travel {on}.
> {A} wants {what} to {where} {on}, and {B} says that it costs {much}.
> {B} sells {A} {what} to {where} {on}, at a price of {much}.

- delay | who when:day where:city how_much:short
A: Excuse me, why is the train to {where} not here?
 / Can you tell me what happened to the train to {where}?
 / Is the train to {where} ever going to come?
B: It is delayed by {much}, I am sorry to say.
 / There is a cow on the line. The delay is {much}.
 / The driver is stuck, so it is {much} late.
A: Oh no, {who} is waiting for me there.
 / That is bad. I promised {who} to be on time.
 / My friend {who} is meeting me at the other end.
B: You could call {who} and say that you will arrive {on}.
 / You will be there {on}, that is certain. Please tell {who}.
A: All right, I will send {who} a message.
 / Good idea, I will phone {who} now.
> The train to {where} is {much} late, so {A} will tell {who} to expect the arrival {on}.
> {A} learns from {B} that the train to {where} is delayed by {much} and will tell {who} about arriving {on}.
> {B} says the train to {where} is {much} late; {A} will arrive {on} and calls {who}.

- meeting friends | who when:any where:city what
A: I am going to {where} to see {who}.
 / Guess what, I am visiting {who} in {where}.
 / My trip to {where} is settled, {who} invited me.
B: That is nice. When do you leave?
 / Lucky you. When does your train go?
A: My train goes {on}.
 / I leave {on}, if I wake up.
B? Not {on2}, as you said before?
 / I thought it was {when2}.
A? No, I changed the plan.
 / That was the old plan, before I saw the price.
B: Did you get {what}?
 / I hope you booked {what}.
 / You should ask for {what}.
A: Yes, I have {what}, and a big bag of apples.
 / I did. I got {what} at the last moment.
> {A} leaves for {where} {on} to visit {who} and has booked {what}.
> {A} tells {B} about visiting {who} in {where}; the train goes {on} and {A} has {what}.
> {A} has {what} for the train to {where} and will leave {on} to see {who}.

= hotel service
what: a quiet room; a room with a balcony; a double room; a single room; a room with a sea view; a family room; a \
room near the lift; a room with a bath
!A The bed is broken and the shower sings all night!
!A I have asked for clean towels all day long!
!A Nobody answers the phone in this hotel!
!B I have only two hands and a hundred guests!
!B You cannot bring a horse into the lobby!

- reservation service | what who when:any how_much:big
A: I would like to book {what}, please.
 / Good evening, do you have {what}?
 / Hello, I am looking for {what}.
B: Yes, we do. Under what name?
 / We have one left. What is the name?
 / With pleasure. Whose name shall I write down?
A: The name is {who}. We will arrive {on}.
 / Please book it for {who}, arriving {on}.
 / It is for {who}, who comes {on}.
B? We also have {what2} at the same price.
 / May I offer you {what2} instead?
A? No, thank you. I will keep to my first choice.
 / That is kind, but no.
B: Very good. It is {much} in total.
 / The total is {much}, with breakfast.
 / That makes {much}, and the cat in the lobby is free.
> {A} books {what} for {who}, arriving {on}, and the total is {much}.
> {B} reserves {what} in the name of {who} from {when} for {much}.
> {A} reserves {what} for {who} {on}; {B} says it costs {much}.

- complaint | what when:past where:room how_much:cash
A: I have a problem with my room. I am {at}.
 / Hello, I am staying {at} and I am not happy.
 / Can you help me? I am {at} and cannot sleep.
B: I am sorry to hear that. What is wrong?
 / Oh dear. What can we do for you?
A: I booked {what}, but {on} you gave me something else.
 / I paid for {what}, and I got a cupboard {on}.
 / You promised me {what} when I came {on}.
B: We will give you back {much} for the trouble.
 / Let me take {much} off the bill.
 / I can return {much} to you at once.
A: That is fair, thank you.
 / Good, that helps a little.
> {A} stays {at} and complains about not getting {what} {on}; {B} gives back {much}.
> {A}, who is {at}, did not get {what} {on}, so {B} offers {much} back.
> {B} returns {much} because {A}, {at}, was not given {what} {on}.

- late service | who when:eve what how_much:cash
A: Hello, this is {who}. I will arrive late.
 / Good evening, my name is {who} and I will be late.
 / I am {who}, and my flight has a mind of its own.
B: No problem. When can we expect you?
 / Thank you for calling. When will you be here?
A: I should be there {on}.
 / I think I will arrive {on}.
B: We will keep {what} for you. The late fee is {much}.
 / We hold {what} for you, but there is a fee of {much}.
A? Could I have {what2} as well?
 / Is {what2} free by any chance?
B? Not this week, I am afraid.
 / Sorry, that one is taken by a wedding party.
A: That is fine. See you then.
 / Thank you, I will pay the fee.
 / All right, please leave a light on.
> {A}, whose name is {who}, will arrive {on}; {B} keeps {what} for a late fee of {much}.
> {who} tells the hotel about arriving late {on}, and {B} holds {what} for a fee of {much}.
> {B} keeps {what} for {who}, who will come {on} and pay a late fee of {much}.

= luggage service
what: a red suitcase; a black backpack; a green sports bag; a leather bag; a guitar case; a grey trunk; a yellow hat \
box; a pair of skis; a small blue bag
!A My best shirt is in there and you do not even look!
!A You have lost my things and now you are eating a sandwich!
!A I have filled in this form three times already!
!B I cannot find a bag that you cannot describe!
!B Please stop climbing onto the belt!

- lost | what who when:past where:city
A: I have lost {what} at the airport.
 / My luggage did not arrive. It is {what}.
 / I am looking for {what}. It never came out.
B: I am sorry. Where did you fly from?
 / Oh dear. Where did your trip start?
A: I came from {where} {on}.
 / I took the plane from {where} {on}.
B: And what name is on the label?
 / Is there a name on it?
 / Whose name is written on it?
A: The label says {who}.
 / It says {who} in big letters.
 / The name {who} is on it, with a small heart.
B: Thank you. We will search for it.
 / We will call you as soon as it turns up.
> {A} flew from {where} {on} and lost {what} with the name {who} on it.
> {A} reports that {what}, labelled {who}, did not arrive {on} from {where}.
> {B} will search for {what}, marked {who}, which {A} lost on the way from {where} {on}.

- found | what when:day where:city how_much:cash
B: Good news, we have found {what}.
 / Hello, I am calling about {what}. We have it here.
 / You can relax, {what} has come back to us.
A: Wonderful. Where was it?
 / At last. Where did it go?
 / I could kiss you. Where has it been?
B: It went on holiday to {where} without you.
 / It was in {where}, quite alone.
 / Somebody sent it to {where} by mistake.
A: When can you bring it to my home?
 / When do I get it back?
B: We can bring it {on}, and it costs {much}.
 / The driver comes {on}. The delivery is {much}.
A: I will be at home, thank you.
 / Fine, I will wait by the door.
> {B} has found {what} in {where} and will deliver it {on} for {much}.
> {A} gets {what} back from {where} {on} and pays {much} for the delivery.
> The airline found {what} in {where}; {B} will bring it to {A} {on} for a fee of {much}.

- heavy | what who where:city how_much:cash
B: Is this your luggage, madam? It looks heavy.
 / Please put your luggage on the scale.
A: It is only {what}. I am flying to {where}.
 / I just have {what}, and I am on my way to {where}.
B: I am afraid it is too heavy. You must pay {much}.
 / That is over the limit. The extra charge is {much}.
 / My scale is crying. That will be {much} more.
A? Is it not {much2}, as on the website?
 / I read that it is only {much2}.
B? That was last year.
 / The website is wrong, sorry.
A: It is full of presents for {who}, so I will pay.
 / My cousin {who} wanted cheese. All right, I will pay.
 / I will pay, but {who} must give me something back.
B: Thank you. Have a good flight.
 / Thank you. Greetings to {who} from the scale.
> {A} pays {much} extra for {what}, which is full of things for {who}, on the flight to {where}.
> {A} flies to {where} to see {who}, and {B} charges {much} because {what} is too heavy.
> {B} says {what} is too heavy, so {A} pays {much} to take it to {who} in {where}.

= taxi service
what: a taxi for the evening; a large taxi; an airport taxi; a taxi with a child seat; a minibus; a taxi with a \
quiet driver; an electric taxi; a taxi with room for a piano
!A The driver has gone round the same block four times!
!A I could have walked there on my hands by now!
!A You said five minutes and that was an hour ago!
!B I cannot make the traffic lights go green!
!B Please close the door before you shout at me!

- call | what who when:any where:spot
A: Hello, I would like to order {what}.
 / Good morning, can you send {what}, please?
 / I need {what}, as soon as you can.
B: Sure. Where shall we pick you up?
 / No problem. Where are you?
A: Please come to {where}.
 / I will be waiting {at}.
B: And when should the driver come?
 / For what time?
A? Could it be {when2}?
 / I thought of {when2}.
B? All our cars are out then.
 / That is when our driver has his nap.
A: Then {when}, please. My name is {who}.
 / Let us say {when}. I am {who}.
B: Fine, {who}, the car will be there.
 / All booked for you, {who}.
> {A} orders {what} for {who} to be picked up {at} {on}.
> {B} will send {what} to {where} {on} for {who}.
> {A}, called {who}, wants {what} {on} and will wait {at}.

- ride | who where:street how_much:cash when:any
A: Please take me to {where}.
 / Can you drive me to {where}, please?
 / To {where}, please, and no jokes about the weather.
B: Hop in. Are you in a hurry?
 / Of course. Is it urgent?
A: Yes, I must pick up {who} there.
 / A little. My cousin {who} is waiting for me.
 / I am, because {who} does not like to wait.
B: It will cost about {much}.
 / That makes {much}, with this traffic.
A? That is a lot. Is it not {much2}?
 / Last time I paid {much2}.
B? Last time there was no parade.
 / I wish, but petrol is not lemonade.
A: Fine. Can you bring us back {on}?
 / All right. And I need a ride back {on}.
B: Sure, I will be there.
 / With pleasure, I will wait outside.
> {A} takes a taxi to {where} for {much} to pick up {who} and wants a ride back {on}.
> {B} drives {A} to {where} for {much}, where {who} is waiting, and will take them back {on}.
> {A} pays {much} for a ride to {where} to meet {who}; {B} will drive them back {on}.

- forgotten | what:a grey umbrella;a silver phone;a brown wallet;a box of cakes;a woolly scarf;a bunch of keys;a \
violin;a rubber duck who when:past where:street
A: I left {what} in one of your taxis.
 / Have you found {what} in a taxi?
 / I am afraid I forgot {what} in your car.
B: When was that, and where did you get out?
 / Let me check. Where and when was the ride?
A: It was {on}. I got out {at}.
 / I got out {at} {on}.
B? Was the driver called {who2}?
 / Did {who2} drive you?
A? No, that was not the name.
 / I do not think so. Mine had a beard.
B: Yes, our driver {who} has it.
 / You are lucky, {who} found it under the seat.
 / Our driver {who} picked it up and is very proud.
A: What a relief. Thank you so much.
 / I am so glad. Please thank {who} for me.
> {A} left {what} in a taxi {on} after getting out {at}, and the driver {who} found it.
> The driver {who} has {what} that {A} forgot {on} on a ride to {where}.
> {A} lost {what} {on} when leaving a taxi {at}; {B} says that {who} has it.
"""
