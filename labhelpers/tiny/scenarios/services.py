"""Restaurants, banks, haircuts, shops and garages."""

TEXT = """
= restaurant service
what: a corner table; a table by the window; a table in the garden; a round table; a table near the stage; a high \
chair; a private room; a table under the stairs
!A We have been waiting for our food since the Stone Age!
!A This soup is as cold as the North Pole!
!A Your waiter has spilled the sauce on my new dress!
!B You have sent back the same plate three times!
!B This is a restaurant and not a circus!

- booking service | what when:eve where:eat how_much:party
A: Hello, is this {where}? I would like to book {what}.
 / Good evening, can I book {what} at {where}?
 / Is that {where}? Do you have {what}?
B: Yes, of course. For how many people?
 / Certainly. How many of you will come?
A: There will be {much}.
 / Please count {much}, all hungry.
 / For {much}, please.
B: And when would you like to come?
 / What time shall I write down?
A? Is {when2} possible?
 / What about {when2}?
B? I am sorry, we are full then.
 / No, a wedding party has taken the whole place.
A: Let us say {when}.
 / We would love to come {on}.
B: Perfect, see you then.
 / It is in the book. We look forward to it.
> {A} books {what} for {much} at {where} {on}.
> {A} wants {what} at {where} for {much}, and {B} takes the booking for {when}.
> {B} of {where} reserves {what} {on} for {A}, who will bring {much}.

- bill | what:the fish soup;the garlic bread;the apple pie;the grilled trout;the mushroom pizza;the lemon cake;the \
bean stew;the pepper steak;the spring rolls who where:eat how_much:cash
A: Excuse me, there is a mistake in the bill.
 / Could you check our bill, please?
 / I think this bill belongs to a bigger stomach.
B: Let me see. What is wrong with it?
 / Oh, I am sorry. What did we do?
A: We did not have {what}.
 / It says {what}, but nobody ate that.
 / You charged us for {what}, and we never saw it.
B: You are right. I will take off {much}.
 / That is our mistake. I will give you {much} back.
A? Was it not {who2} who served us?
 / I think {who2} took the order.
B? No, that waiter is on holiday.
 / That waiter works in the kitchen now.
A: Please tell {who} to be careful. We like {where}.
 / Thank you. Our waiter {who} is new at {where}, I guess.
B: I will talk to {who} about it.
 / Yes, {who} started this week. Sorry again.
> {A} was charged for {what} at {where} by {who}, and {B} takes {much} off the bill.
> {B} gives {A} {much} back because {who} put {what} on the bill by mistake at {where}.
> {A} finds {what} on the bill at {where}; {B} returns {much} and will talk to {who}.

- dinner friends | who when:eve where:eat what
B: Are you free {on}?
 / Do you have any plans {on}?
A: I think so. Why do you ask?
 / Not yet. What do you have in mind?
 / Only my sofa. Why?
B: Let us have dinner with {who}.
 / I would like to eat out with {who} and you.
A: Lovely. Shall we go to {where2}?
 / Great, I like {who}. Is {where2} open?
B: I prefer {where}, and I can get {what} there.
 / Let us go to {where} instead. They keep {what} for me.
A: Sounds good to me.
 / Perfect, I will wear my big trousers.
 / Fine, I am already hungry.
> {B} and {A} will have dinner with {who} at {where} {on}, and {B} will get {what}.
> {B} invites {A} to dinner with {who} {on}; they will have {what} at {where}.
> {A} agrees to eat at {where} with {B} and {who} {on}, where {B} gets {what}.

= bank service
what: a new bank card; a savings account; a student account; a small loan; a credit card; a joint account; a travel \
card; an online account
!A Your machine has swallowed my card for the second time!
!A It is my money and I want to see it now!
!A I have been on hold all morning with that awful music!
!B I cannot open the safe just because you shout!
!B You must sign the form and not draw on it!

- card | what when:day where:street how_much:cash
A: Good morning, I would like {what}.
 / Hello, I want to apply for {what}.
 / Can I get {what} here?
B: Yes. Please sign here. The fee is {much}.
 / Of course. It costs {much} a year.
A? I read that it costs {much2}.
 / Is it not {much2} any more?
B? That offer is over, I am sorry.
 / That was before we bought the new plants.
A: That is fine. When can I pick it up?
 / All right. When will it be ready?
B: It will be ready {on} in our office {at}.
 / Come to our branch {at} {on}.
A: I will be there.
 / Good, I will bring my passport and my best smile.
> {A} wants {what}, pays a fee of {much}, and can get it {on} {at}.
> {B} says that {what} costs {much} and will be ready {on} at the office {at}.
> {A} applies for {what} for {much}; {B} will have it ready {at} {on}.

- stolen | what:a brown purse;a gold card;a company card;a blue card;a cheque book;a leather purse;a signed cheque;a \
bank book who when:past how_much:big
A: Please help me. Somebody has stolen {what}.
 / I need to report that {what} is gone.
 / I cannot find {what}. I think it was stolen.
B: When did you last see it?
 / Stay calm. When did it happen?
A: It was {on}, on the bus.
 / I lost sight of it {on}.
B: I see that {much} has been spent. Was that you?
 / Somebody has paid {much} since then.
A: No, that was not me. I bought nothing but a bun.
 / Certainly not. I never spend that much.
B: Then I will block it. My colleague {who} will write to you.
 / I will stop everything now, and {who} will call you.
> {A} reports that {what} was stolen {on} and {much} was spent; {who} will be in touch.
> {B} blocks everything after {what} was stolen {on} and {much} was spent, and {who} will contact {A}.
> Someone stole {what} from {A} {on} and spent {much}, so {B} asks {who} to help.

- loan | who when:day how_much:big what
A: I would like to talk about {what}.
 / Could somebody tell me more about {what}?
 / My boss says I should think about {what}.
B: How much money is it about?
 / Sure. What sum are you thinking of?
A: I have {much} in mind.
 / It is about {much}.
 / About {much}, and some courage.
B: Then {who} is the right person for you.
 / You should speak to {who} about that.
A: When can I see {who}?
 / Is {who} free this week?
B? What about {when2}?
 / I could offer you {when2}.
A? I have to work then.
 / That is my dancing class.
B: You can have {when}.
 / There is a free place {on}.
A: Good, please write it down.
 / I will take it, thank you.
> {A} will meet {who} {on} to talk about {what} and a sum of {much}.
> {B} arranges for {A} to see {who} {on} about {what} and {much}.
> {A} is interested in {what} and {much}, and {B} says {who} is free {on}.

= haircut service
what: a short haircut; a new colour; a simple trim; a wash and cut; a beard trim; a curly style; a fringe; a wedding \
style
!A You have cut off half of my hair!
!A I look like a wet hedgehog!
!A I said blond and not orange!
!B I cannot cut your hair while you wave your arms!
!B You told me to make it short, so I made it short!

- appointment service | what who when:any how_much:cash
A: Hello, I would like {what}.
 / Good morning, I need {what}, please.
 / Can I come in for {what}?
B: Sure. Who usually cuts your hair?
 / Of course. Which hairdresser do you want?
A: I always go to {who}.
 / The last time it was {who}.
 / I would like {who}, if possible.
B? Is {when2} good for you?
 / I have a free chair {on2}.
A? No, I cannot make it then.
 / I am at the dentist then.
B: You are in luck. Please come {on}.
 / That works {on}.
A: Great. What does it cost?
 / Good. And the price?
B: It is {much}, with a cup of tea.
 / We take {much} for that.
> {A} will get {what} from {who} {on} for {much}.
> {A} wants {what}, and {B} books {who} {on} at a price of {much}.
> {B} gives {A} an appointment with {who} {on} for {what}, which costs {much}.

- cancel service | who when:any what where:street
A: I have to cancel my appointment {on}.
 / I am sorry, but I cannot come {on}.
 / About my appointment {on}: I will not make it.
B: What a pity. What was it for?
 / That is a shame. What did you book?
A: It was for {what} at your salon {at}.
 / I had booked {what} in the shop {at}.
B: I see. Shall I tell {who}?
 / All right, {who} will be sad.
A: Yes, please say sorry to {who}.
 / Please tell {who} that I am ill.
 / Tell {who} that my dog ate the calendar.
B: No problem. Call us again soon.
 / I will do that. Get in touch when you can.
> {A} cancels {what} with {who} {on} at the salon {at}.
> {A} cannot come {on} for {what} {at}, and {B} will tell {who}.
> {B} will inform {who} that {A} cancels {what} {on} in the shop {at}.

- opinion friends | who what how_much:cash where:street
A: Do you notice anything new about me?
 / Look at my head and be honest.
B: You have {what}. It suits you.
 / Is that {what}? It looks great.
 / Oh, you got {what}. How brave.
A: Thank you. {who} did it in a small shop {at}.
 / Yes, I went to see {who} at the salon {at}.
B: Was it expensive?
 / How much did you pay?
A: I paid {much}, and it took all day.
 / It was {much}, and worth it.
B? I paid {much2} last week.
 / My last one was {much2}.
A? Then you know how it is.
 / That is what you get for being famous.
B: Maybe I should go there too.
 / Please ask {who} to save my hair as well.
> {A} got {what} from {who} {at} for {much}, and {B} likes it.
> {B} likes the look of {A}, who paid {who} {much} for {what} {at}.
> {A} shows {B} the result: {what} by {who} {at}, for {much}.

= shopping service
what: a pair of boots; a winter coat; a coffee machine; a desk lamp; a toaster; a rain jacket; a wool sweater; a \
kitchen scale; a radio; an alarm clock
!A It fell apart after one day and you call that quality!
!A I want my money and not another voucher!
!A I have shown you the receipt five times now!
!B You cannot return something that you have cooked in!
!B Please stop throwing things at the counter!

- return | what when:past how_much:cash who
A: I would like to return {what}.
 / Hello, I bought {what} here and it does not work.
 / I am not happy with {what} from your shop.
B: What seems to be the problem?
 / Oh, I am sorry. When did you buy it?
A: I bought it {on}, and it broke at once.
 / I got it {on} and it makes a strange smell.
 / It was fine {on}, then it started to hum a song.
B: Do you have the receipt?
 / Who sold it to you?
A: Yes, here it is. {who} served me.
 / Here is the receipt. The name on it is {who}.
B? I can offer you {what2} instead.
 / Would you like {what2} in exchange?
A? No, I would like my money.
 / Thank you, but one is enough.
B: Then you get {much} back.
 / Here is your money, {much} in all.
> {A} returns {what} that {who} sold {on}, and {B} gives back {much}.
> {A} bought {what} from {who} {on} and now gets {much} back from {B}.
> {B} pays back {much} for {what}, which {A} bought from {who} {on}.

- order service | what when:any who how_much:cash
A: Do you have {what} in the shop?
 / I am looking for {what}.
 / My old one is dead, so I need {what}.
B: Not today, but I can order it.
 / We are sold out, but I can get one.
A: That would be great. When will it come?
 / Please do. When can I have it?
B: It will be here {on}.
 / You can pick it up {on}.
A? Not {on2}?
 / Could it be here {on2}?
B? No, the truck does not come then.
 / Only if I grow wings.
A: Good. The name is {who}.
 / Please put it aside for {who}.
B: It costs {much}. You can pay later.
 / Fine, {who}. The price is {much}.
> {A} orders {what} in the name of {who} for {much} and can get it {on}.
> {B} will have {what} ready for {who} {on} at a price of {much}.
> {A} wants {what}; {B} orders it for {who}, to be there {on} for {much}.

- gift friends | who what how_much:cash where:street
B: What shall we give {who} as a present?
 / I still need a present for {who}.
 / Do you have an idea for the party of {who}?
A: How about {what2}?
 / We could buy {what2}.
B: No, {who} already has that.
 / I do not think so. That is boring.
A: Then let us get {what}. I saw one {at}.
 / I know a shop {at} that sells {what}.
B: How much is it?
 / Can we afford it?
A: It is {much}, so we can share.
 / Only {much}, because it is on sale.
 / They want {much}, but I will smile at them.
B: Perfect, let us buy it.
 / Good idea, I will pay half.
> {A} and {B} want to give {who} {what}, which a shop {at} sells for {much}.
> {A} suggests {what} from a shop {at} as a present for {who}, and it costs {much}.
> {B} needs a present for {who}, so they will buy {what} {at} for {much}.

= garage service
what: the brakes; the front tyre; the back window; the engine oil; the left mirror; the gear box; the horn; the \
battery; the right headlight
!A My car came back with more holes than before!
!A You said it was ready and now it is in pieces!
!A I have paid for this repair twice already!
!B I am a mechanic and not a magician!
!B You drove it into a pond and blame me!

- repair | what who when:day how_much:big
A: My car makes a noise like an angry goose.
 / Something is wrong with my car.
 / Can you look at my car, please?
B: Let me see. I think it is {what}.
 / I know this sound. We must repair {what}.
 / Ah, the problem is {what}.
A: Is it expensive?
 / How much will that cost?
B: It will be {much}, I fear.
 / I would say {much}.
A? I hoped for {much2}.
 / My brother says it should be {much2}.
B? Then let your brother do it.
 / I hope for many things too.
A: All right. When is it ready?
 / Fine. When can I have the car again?
B: My colleague {who} will finish it {on}.
 / You can pick it up {on}. Ask for {who}.
> {B} says that {what} must be repaired for {much}; {who} will have the car ready {on}.
> {A} will pay {much} to have {what} repaired by {who}, and the car is ready {on}.
> The car of {A} has a problem with {what}; {who} will repair it by {when} for {much}.

- breakdown service | who what where:street how_much:short
A: My car has broken down {at}.
 / Hello, I am stuck {at} with my car.
 / Can you help? My car died {at}.
B: What happened?
 / I see. Do you know what it is?
A: I think it is {what}. There was smoke.
 / It must be {what}. It said goodbye with a bang.
B: I will send {who} with the truck.
 / Our driver {who} will come to you.
A: How long will it take?
 / When will {who} be here?
B: About {much}. Please stay in the car.
 / It takes {much} in this traffic.
A: Good, I have a book with me.
 / All right, I will count the clouds.
> {A} has broken down {at} because of {what}, and {who} will come in {much}.
> {B} sends {who} to help {A} {at} in {much}; the problem seems to be {what}.
> {A} is stuck {at} with a problem with {what}; {B} says that {who} needs {much}.

- selling friends | who when:any where:street how_much:big
A: I hear you want to sell your old car.
 / Is your car still for sale?
B: Yes, I want {much} for it.
 / It is. You can have it for {much}.
 / For {much} it is yours, with all its memories.
A? Would you take {much2}?
 / I can only pay {much2}.
B? Not for a car with such nice seats.
 / No, the tank alone is worth more.
A: Fine. Can {who} look at it first?
 / Good. My friend {who} knows cars and wants to see it.
B: Sure. It is parked {at}.
 / No problem. You can find it {at}.
A: We will come {on}.
 / Then {who} and I will be there {on}.
B: I will wash it before then.
 / See you then, and bring cash.
> {B} sells a car for {much}, and {A} will look at it with {who} {at} {on}.
> {A} and {who} will see the car of {B} {at} {on}; it costs {much}.
> {A} is interested in a car for {much} parked {at} and will bring {who} {on}.
"""
