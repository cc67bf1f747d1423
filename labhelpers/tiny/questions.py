"""Short questions with a right and a wrong answer, for the question-answer items of the rankings.

One item a line: question | right answer | wrong answer.  General knowledge, nothing about private persons.
"""

TEXT = """
Who was not the President of the United States in 2010? | George Washington was not. The President in 2010 was Barack \
Obama. | Barack Obama was not the President in 2010.
What is the capital of France? | Paris. | It is Lyon.
What is the capital of Australia? | The capital of Australia is Canberra. | Sydney is the capital.
What is the capital of Japan? | Tokyo. | The capital of Japan is Kyoto, as it was long ago.
What is the capital of Canada? | It is Ottawa, in the province of Ontario. | Toronto.
What is the capital of Italy? | Rome is the capital of Italy. | The capital is Milan.
What is the capital of Egypt? | Cairo. | Alexandria is the capital of Egypt.
What is the capital of Norway? | It is Oslo. | It is Bergen.
What is the capital of Brazil? | Brasilia, a city that was planned and built for it. | Rio de Janeiro.
What is the capital of Kenya? | Nairobi is the capital. | Mombasa is the capital.
How many legs does a spider have? | A spider has eight legs. | Six.
How many legs does an ant have? | Six, as all insects do. | An ant has eight legs.
How many days are there in a leap year? | There are 366 days. | There are 364 days in a leap year.
How many hours are there in a day? | 24. | A day has 20 hours.
How many minutes are there in an hour? | Sixty. | One hundred minutes make an hour.
How many sides does a hexagon have? | A hexagon has six sides. | It has eight sides.
How many sides does a triangle have? | Three. | Four.
How many planets are there in our solar system? | There are eight planets, from Mercury to Neptune. | There are twelve.
How many continents are there? | Seven are usually counted. | There are three continents.
How many strings does a violin have? | Four. | A violin has six strings.
How many strings does a standard guitar have? | It has six strings. | Nine strings.
How many players does a football team have on the field? | Eleven, with the goalkeeper. | Fifteen.
How many letters does the English alphabet have? | 26 letters. | The English alphabet has 24 letters.
How many months have 31 days? | Seven months have 31 days. | Four months.
How many zeros are there in one million? | Six. | There are nine zeros in one million.
How many centimetres are there in a metre? | A metre has 100 centimetres. | A metre has 1000 centimetres.
How many grams are there in a kilogram? | 1000 grams. | 100.
How many wheels does a tricycle have? | Three wheels. | A tricycle has two wheels.
How many squares are there on a chess board? | There are 64 squares. | There are 81 squares.
How many bits are there in a byte? | Eight bits make a byte. | A byte has ten bits.
Which planet is the closest to the sun? | Mercury. | Venus is the closest.
Which planet is the largest in our solar system? | Jupiter is the largest planet. | Saturn.
Which planet is known for its large rings? | It is Saturn. | It is Mars.
Which planet is called the red planet? | Mars, because of the rust in its soil. | Jupiter is called the red planet.
Which animal is the largest on earth? | The blue whale is the largest animal. | The elephant.
Which animal is the fastest on land? | The cheetah. | The horse is the fastest animal on land.
Which bird is the largest? | The ostrich is the largest living bird. | The eagle.
Which animal has the longest neck? | The giraffe. | The camel has the longest neck.
Which ocean is the largest? | The Pacific Ocean is the largest and deepest of all. | The Atlantic.
Which mountain is the highest above the sea? | Mount Everest. | It is Mont Blanc in Europe.
Which continent is the largest? | Asia. | Africa is the largest continent.
Which continent is the coldest? | Antarctica is the coldest one. | Europe.
Which metal is liquid at room temperature? | Mercury. | Iron is liquid at room temperature.
Which gas do plants take in to make sugar? | Plants take in carbon dioxide. | They take in helium.
Which gas do we need to breathe? | Oxygen. | We need to breathe hydrogen.
Which month comes after June? | July comes after June. | August.
Which day comes before Monday? | Sunday. | It is Tuesday.
Which season follows winter? | Spring follows winter. | Autumn.
Which instrument has black and white keys? | The piano. | The trumpet has black and white keys.
Which language is spoken in Brazil? | Most people there speak Portuguese. | Dutch.
Which country has the shape of a boot? | Italy. | Norway has the shape of a boot.
Which river flows through London? | The Thames. | The Danube flows through London.
Which river flows through Paris? | The Seine flows through Paris. | The Rhine.
Which city has the Eiffel Tower? | Paris. | The Eiffel Tower stands in Brussels.
Which city has the Colosseum? | The Colosseum stands in Rome. | Athens.
Who wrote Romeo and Juliet? | William Shakespeare wrote it. | It was Charles Dickens.
Who painted the Mona Lisa? | Leonardo da Vinci. | It was painted by Vincent van Gogh.
Who wrote Don Quixote? | Miguel de Cervantes wrote Don Quixote. | Dante.
Who was the first person on the moon? | Neil Armstrong, in July 1969. | It was Yuri Gagarin.
Who was the first person in space? | Yuri Gagarin was the first, in 1961. | Christopher Columbus.
Who was the first President of the United States? | George Washington. | Abraham Lincoln was the first President.
Who developed the theory of relativity? | Albert Einstein. | Isaac Newton developed it.
Who composed the opera The Magic Flute? | Wolfgang Amadeus Mozart composed it. | Bach.
Who discovered penicillin? | Alexander Fleming discovered it in 1928. | Marie Curie.
Who wrote the novel Frankenstein? | Mary Shelley. | It was written by Jane Austen.
In which year did the Titanic sink? | In 1912. | The Titanic sank in 1950.
In which year did the First World War begin? | It began in 1914. | In 1940.
In which year did the Berlin Wall fall? | The Berlin Wall fell in November 1989. | In 1961.
What colour do you get from blue and yellow paint? | Green. | You get purple.
What colour do you get from red and white paint? | Pink. | Blue.
What colour is an emerald? | An emerald is green. | An emerald is red.
What do bees make? | Bees make honey and wax. | Milk.
What do caterpillars turn into? | Butterflies or moths. | They turn into spiders.
What do pandas mostly eat? | They mostly eat bamboo. | Fish.
What is the freezing point of water in Celsius? | Zero degrees. | Water freezes at ten degrees.
What is the boiling point of water in Celsius? | At sea level it boils at 100 degrees. | 60 degrees.
What is the chemical formula of water? | H2O. | It is CO2.
What is the chemical symbol of gold? | Au. | The symbol of gold is Go.
What is the largest organ of the human body? | The skin. | It is the heart.
What does the heart do? | It pumps blood through the body. | It digests what we eat.
What is the square root of 81? | Nine. | The square root of 81 is eight.
What is seven times eight? | 56. | Seven times eight makes 54.
What is twelve plus nine? | Twelve plus nine is 21. | 22.
What is half of fifty? | 25. | Half of fifty is 20.
What is the smallest prime number? | The smallest prime number is two. | One.
What is frozen water called? | Ice. | Frozen water is called steam.
What is a baby dog called? | A baby dog is called a puppy. | A lamb.
What is a baby sheep called? | A lamb. | It is called a calf.
What is the opposite of north? | South. | The opposite of north is west.
What is the opposite of hot? | The opposite of hot is cold. | Dry.
What do you use to measure temperature? | A thermometer. | You measure it with a ruler.
What do you use to see the stars better? | You use a telescope. | A microscope.
What is the main ingredient of bread? | Flour. | The main ingredient of bread is cheese.
What is cheese made of? | Cheese is made of milk. | It is made of eggs and flour.
What are raisins? | They are dried grapes. | Small olives.
What drink is made from roasted beans? | Coffee. | Tea is made from roasted beans.
Where do kangaroos live in the wild? | They live in Australia. | In Canada.
Where do penguins live in the wild? | Mostly in the south, for example in Antarctica. | Penguins live at the North Pole.
Where does the sun rise? | In the east. | The sun rises in the north.
Why do we see a rainbow? | Drops of rain split the light of the sun into colours. | Because clouds are painted.
Why is it dark at night? | Our side of the earth is turned away from the sun. | The sun is switched off.
Why does ice float on water? | Ice is less dense than water. | Because ice is heavier.
"""


def questions() -> list[tuple[str, str, str]]:
    """All items as (question, right answer, wrong answer)."""
    return [tuple(part.strip() for part in line.split("|")) for line in TEXT.splitlines() if line.strip()]
