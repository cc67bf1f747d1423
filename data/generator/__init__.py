"""Makes the course's data from the text files in `texts/`: `make data`, or `python -m data.generator` in a clone."""
