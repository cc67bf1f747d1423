"""The lab's toxicity evaluation, one prompt at a time, to be run by the old loop's Python (see README.md).

    /path/to/classic/bin/python lab_evaluation.py DIALOGUES.jsonl --shape base --prompts 11 --tokens 100 --threads 2

Its cells are the lab's: tokenize, `generate`, decode, score prompt and response, for each prompt alone. Prints one JSON
line with `prompts_per_s`. Nothing of labhelpers is imported; models and prompts are those of shapes.py.
"""

import argparse
import json
import time
import warnings

import shapes
import torch
from peft import LoraConfig, TaskType, get_peft_model

warnings.filterwarnings("ignore")
parser = argparse.ArgumentParser()
parser.add_argument("dialogues")
parser.add_argument("--shape", default="base", choices=list(shapes.SHAPES))
parser.add_argument("--prompts", type=int, default=11)
parser.add_argument("--tokens", type=int, default=100)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
torch.set_num_threads(options.threads)
rows = shapes.read_rows(options.dialogues)
tokenizer = shapes.make_tokenizer(rows)
lora = LoraConfig(
    r=32, lora_alpha=32, target_modules=["q", "v"], lora_dropout=0.05, bias="none", task_type=TaskType.SEQ_2_SEQ_LM
)
model = get_peft_model(shapes.make_model(options.shape, torch.float32), lora).eval()
classifier = shapes.make_classifier(torch.float32, options.shape)
started = time.perf_counter()
for row in rows[: options.prompts]:
    text = shapes.PROMPT.format(dialogue=row["dialogue"])
    generated = model.generate(
        input_ids=tokenizer(text, return_tensors="pt").input_ids, max_new_tokens=options.tokens, do_sample=True,
        top_k=0, top_p=1.0, pad_token_id=0, eos_token_id=shapes.EOS,
    )  # fmt: skip
    both = tokenizer(text + " " + tokenizer.decode(generated[0], skip_special_tokens=True), return_tensors="pt")
    with torch.no_grad():
        classifier(input_ids=both.input_ids[:, :500]).logits.softmax(-1)[0, 1].item()
seconds = time.perf_counter() - started
print(json.dumps({"prompts_per_s": round(options.prompts / seconds, 4), "prompts": options.prompts}))
