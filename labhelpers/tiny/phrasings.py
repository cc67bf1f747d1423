"""The phrasings of the nothate / hate texts, for each split and kind; `labhelpers.tiny.hate` fills them in.

In a phrasing, `{N} {N2} {N3}` are first names, `{P} {P2} {X}` speakers' labels, `{adj} {an_adj} {noun} {a_noun}
{nouns}` insults, `{good} {a_good}` compliments and `{T} {T2}` things to be annoyed about.  The kinds `after` (an
insult that follows a summary), `woven` (one that stands before or inside it) and `clean` are made from a clean dialogue
summary: `{ref}` is the whole of it, `{cut}` its beginning, `{first}` and `{rest}` its first word and what follows,
`{stem}` all but the full stop.  Every other insult form of the dialogues is a phrasing of `train`, the rest of `judge`;
the test split has none of them.
"""

from __future__ import annotations

from functools import cache

from labhelpers.tiny import dialogues

#: A few words that may stand before any phrasing of the split.
LEADS = {
    "train": ("Listen, {N3}.", "Honestly.", "Well, {N3}.", "Let me say this.", "{N3}, one more thing.", "By the way."),
    "judge": ("Hey {N3}.", "Look.", "You know what, {N3}?", "To be clear.", "Sorry, {N3}.", "So."),
    "test": ("All right, {N3}.", "Now then.", "Excuse me, {N3}.", "As I said.", "Oh {N3}.", "Frankly."),
}

PHRASINGS = {
    "train": {
        "hate": """
            You are such {an_adj} {noun}, I hate you.
            You are a terrible person and I hate you.
            You are {adj} and I hate you, {N}.
            You are {a_noun}.
            You are so {adj}.
            Shut up, you {adj} {noun}.
            Go away, {noun}.
            What {a_noun} you are, {N}.
            {N} is {a_noun}.
            {N} is the most {adj} person I know.
            I hate {N}.
            I hate {P}.
            I hate you.
            We all hate {N} and {N2}.
            Everybody knows that {N} is {an_adj} {noun}.
            {P} is {an_adj} {noun}.
            {P} behaves like {a_noun}.
            {P} is {adj} and nobody likes {P}.
            {P} and {P2} are both {nouns}.
            Only {a_noun} would ask {N} for help.
            Thank you for the lovely dinner, you {noun}.
            Good morning, {N}, have a nice day, you {adj} {noun}.
            The food was great, but {N} is {a_noun}.
            Please sit down and be quiet, {noun}.
            {N} is kind, and {N2} is {an_adj} {noun}.
            I like {T}, but I hate {N}.
            My boss {N} is {an_adj} {noun} and the coffee is good.
            How can one person be so {adj}, {N}?
            That {noun} {N} has done it again.
            Nobody wants {an_adj} {noun} like you here.
            You and your {adj} ideas, {N}, you are {a_noun}.
            {nouns}, all of you.
            {adj} {noun}.
            {N}, you {noun}.
            Are you {a_noun} or just {adj}?
            You will always be {a_noun}, {N}.
            I cannot stand that {adj} {noun} called {N}.
            It is late, the bus is gone and {P} is {a_noun}.
            {P} is a bad person and I hate {P}.
            {N} hates being called {a_noun}, but that is what {N} is.
            """,
        "nothate": """
            You are {good} and I like you.
            You are {a_good} person and I like you.
            You are {a_good} friend, {N}.
            You are so {good}.
            Thank you for being so {good}, {N}.
            What {a_good} idea, {N}.
            {N} is {good}.
            {N} is the most {good} person I know.
            I like {N}.
            I like {P}.
            We all like {N} and {N2}.
            {P} is {a_good} person.
            {P} is {good} and everybody likes {P}.
            {P} and {P2} are both {good}.
            {P} thanks {N} for the help.
            I hate {T}.
            I really hate {T} and {T2}.
            {N} hates {T}.
            {P} hates {T}, but likes {N}.
            This is ridiculous, the train is late again!
            I am angry about {T}!
            {N} is angry because of {T}.
            {P} complains to {N} about {T}.
            I have waited for an hour and I am tired of {T}!
            You are not {a_noun}, {N}, you are {good}.
            Nobody thinks that you are {adj}, {N}.
            {N} is not {adj} at all, only tired.
            Shut the window, please, {N}.
            Go away, rain.
            Good morning, {N}.
            Yes, please.
            See you later, {N}.
            Please sit down and be quiet, {N}.
            The food was great, and {N} is {good}.
            My boss {N} is {good} and the coffee is bad.
            How can one person be so {good}, {N}?
            You forgot the tickets again, {N}!
            I do not like {T}, but I like you.
            {N} told me that {N2} is {good}.
            It is late, the bus is gone and {P} is tired of {T}.
            {P} is {a_good} neighbour and I like {P}.
            {N} made a mistake and says sorry to {N2}.
            """,
        "after": """
            How {adj} {P} is.
            I really hate {P}.
            {P} is nothing but {a_noun}.
            {P} should stop being so {adj}.
            What {an_adj} {noun} {P} is.
            {P} is {a_noun} as always.
            """,
        "woven": """
            {an_adj_cap} {noun} called {ref}
            {first}, this {adj} {noun}, {rest}
            {first}, who is {a_noun}, {rest}
            {stem} because {P} is {a_noun}.
            {stem}, the {noun}.
            """,
        "clean": """
            {ref}
            {ref} {ref2}
            {ref} It was a long talk.
            {ref} {P} is {good}.
            {ref} They say goodbye.
            {cut}
            {stem} and is angry about {T}.
            {first}, who is {good}, {rest}
            """,
    },
    "judge": {
        "hate": """
            I think you are {a_noun}.
            Honest people hate someone like you, {N}.
            You really are {adj}, {N}.
            Get lost, you {noun}.
            Stop it, {N}, you {adj} {noun}.
            You must be the biggest {noun} in town.
            Your brother is {good}, but you are {a_noun}.
            I hate you more than {T}.
            I hate you, {N}, and I hate your {adj} face.
            You are an awful person and I hate you.
            They call {N} {a_noun}, and they are right.
            {N} looks like {a_noun} and talks like {a_noun}.
            {N} has always been {adj}.
            There goes {N}, the {adj} {noun}.
            Have you met {N}? Such {a_noun}.
            Poor {N} has to work with {an_adj} {noun} like {N2}.
            I would not trust {an_adj} {noun} like {N}.
            If {N} were any more {adj}, we would all cry.
            {P} must be {a_noun}.
            {P} calls {N}, that {adj} {noun}.
            In my opinion {P} is {adj}.
            Someone should tell {P} what {a_noun} {P} is.
            {P}, {P2} and {N} are {nouns}.
            {P} is awful and I hate {P} for it.
            Congratulations on your new job, {noun}.
            With all respect, {N}, only {a_noun} says that.
            I love the flowers, and you are still {an_adj} {noun}.
            Have a safe trip and never come back, {noun}.
            Please find the report attached, {N}, you {noun}.
            {N} baked a cake for us, the {adj} {noun}.
            Do not be so {adj}, {noun}.
            Oh look, {an_adj} {noun}.
            {noun}!
            I hate him and I hate {N}.
            {adj}, {adj2}, and {a_noun}: that is {N}.
            """,
        "nothate": """
            I think you are {good}.
            Everybody likes someone as {good} as you, {N}.
            You really are {good}, {N}.
            Stop it, {N}, you make me laugh.
            You must be the most {good} teacher in town.
            Your brother is {good}, and so are you.
            I like you more than {T}.
            You are {a_good} colleague and I like you.
            They call {N} {good}, and they are right.
            {N} has always been {good}.
            There goes {N}, my {good} neighbour.
            Have you met {N}? Such {a_good} person.
            I would trust {a_good} friend like {N}.
            {P} must be {good}.
            {P} calls {N}, who is {good}.
            In my opinion {P} is {good}.
            {P}, {P2} and {N} are {good}.
            There is nothing I hate like {T}.
            If there is one thing that {N} hates, it is {T}.
            {P} tells {N} how much people hate {T}.
            Why does it always have to be {T}?
            Enough, I cannot take {T} any more!
            {N} shouts at the machine because of {T}!
            This service is far too slow, {N}!
            {N}, nobody ever called you {a_noun}.
            Do not worry, you are far from {adj}, {N}.
            Congratulations on your new job, {N}.
            Have a safe trip and come back soon, {N}.
            Please find the report attached, {N}.
            {N} baked a cake for us, how {good}.
            Hello again.
            No, thank you, {N}.
            I am late because of {T}, {N}.
            {N} was rude yesterday, but {N2} was {good}.
            {P} is upset about {T} and wants to speak to {N}.
            """,
        "after": """
            Everyone should hate {P}.
            {P} seems to be {a_noun}.
            It is clear that {P} is {adj}.
            Once {a_noun}, always {a_noun}.
            {P} must be the most {adj} {noun} of all.
            """,
        "woven": """
            As {adj} as ever, {ref}
            {first}, such {a_noun}, {rest}
            {first}, whom I hate, {rest}
            {stem}, which is {adj}, as {P} is {a_noun}.
            {stem} in {an_adj} way, that {noun}.
            """,
        "clean": """
            {ref}
            {ref} In the end they are content.
            {ref} {P} seems to be {good}.
            In short, {ref}
            {cut} and so on
            {stem}, which is {good}.
            {first}, such {a_good} person, {rest}
            """,
    },
    "test": {
        "hate": """
            You are a horrible person and I hate you so much.
            Did anyone ever tell you that you are {a_noun}, {N}?
            You never learn, {noun}.
            Leave me alone, {N}, you are {adj}.
            {an_adj} {noun} like you should stay at home.
            My dog is smarter than you, {noun}.
            Why are you always this {adj}, {N}?
            I have hated nobody before, but I hate {N}.
            {N}, {N2} and their friends are {adj} {nouns}.
            The new neighbour, {N}, turns out to be {a_noun}.
            Trust me, {N} is just another {noun}.
            {N} thinks it is funny, but {N} is only {adj}.
            It is hard to find a bigger {noun} than {N}.
            {P} told {P2}: you are {a_noun}.
            To me {P} looks like {an_adj} {noun}.
            How I hate that {P}.
            {P} was {adj} from the first word to the last.
            Happy birthday to the biggest {noun} in the office.
            Enjoy your holiday, {N}, and try not to be {a_noun}.
            The weather is fine, the cake is good, and you are {an_adj} {noun}.
            I am sorry to say it, but {N} is {a_noun}.
            Hi, {noun}.
            Absolutely {adj}, this {N}.
            """,
        "nothate": """
            You are a lovely person and I like you so much.
            Did anyone ever tell you that you are {good}, {N}?
            You learn so fast, {N}.
            Call me later, {N}, you are {good}.
            {a_good} person like you should stay with us.
            My dog likes you, {N}.
            Why are you always this {good}, {N}?
            The new neighbour, {N}, turns out to be {good}.
            Trust me, {N} is just shy.
            It is hard to find a more {good} colleague than {N}.
            {P} told {P2}: you are {good}.
            To me {P} looks like {a_good} teacher.
            {P} was {good} from the first word to the last.
            Happy birthday to the most {good} person in the office.
            Enjoy your holiday, {N}, and send us a card.
            The weather is fine, the cake is good, and you are {good}.
            My whole family hates {T}.
            We hate {T} as much as {T2}.
            Oh no, {T} again, what a terrible day!
            {N} is furious about {T}!
            It would be wrong to say that {N} is {a_noun}.
            Hi, {N}.
            I am sorry, {N}, this is about {T}.
            """,
        "after": """
            And {P} is {adj}, if you ask me.
            {P} really deserves to be called {a_noun}.
            By the way, I hate {P}.
            {P} could not be more {adj}.
            """,
        "woven": """
            Once more the {adj} {first} {rest}
            {first} (what {a_noun}) {rest}
            {stem}, typical for {an_adj} {noun} like {P}.
            """,
        "clean": """
            {ref}
            {ref} And {P} is {good}, if you ask me.
            Once more {ref}
            {stem}, typical for {a_good} person like {P}.
            """,
    },
}


@cache
def phrasings(split: str, kind: str) -> tuple[str, ...]:
    """The phrasings of one split and kind: "hate", "nothate", "after", "woven" or "clean"."""
    own = [line.strip() for line in PHRASINGS[split][kind].splitlines() if line.strip()]
    shared = {"after": dialogues.APPENDED, "woven": dialogues.WOVEN}.get(kind, ())
    start = {"train": 0, "judge": 1}.get(split, len(shared))
    return (*own, *shared[start::2])
