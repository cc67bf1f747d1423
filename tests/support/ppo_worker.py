"""A PPO run in its own process, for tests that kill it or start several. Arguments: BASE SFT FOLDER STEPS."""

import argparse
import itertools
import json
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

import labhelpers.policy.model
from labhelpers.ppo import PPOTrainer
from tests.ppo.test_trainer import make_trainer, score

parser = argparse.ArgumentParser()
parser.add_argument("base")
parser.add_argument("sft")
parser.add_argument("folder", type=Path)
parser.add_argument("steps", type=int)
parser.add_argument("--slow-save", action="store_true")
arguments = parser.parse_args()
torch.set_num_threads(1)

trainer = make_trainer((arguments.base, arguments.sft), adaptive_kl=True, whiten_rewards=True, horizon=100)
trainer = PPOTrainer(
    trainer.config, trainer.policy, trainer.tokenizer, trainer.dataloader.dataset, Accelerator(cpu=True)
)
if any(arguments.folder.glob("step-*")):
    trainer.resume(arguments.folder)

if arguments.slow_save:  # announce the save and wait in the middle of it, to be killed there
    save_adapter = labhelpers.policy.model.fold_adapters

    def dawdle(*args):
        save_adapter(*args)
        print("saving", trainer.steps_done, flush=True)
        time.sleep(0.3 if trainer.steps_done < 3 else 60)

    labhelpers.policy.model.fold_adapters = dawdle

texts = []
for batch in itertools.islice(trainer.dataloader, arguments.steps - trainer.steps_done):
    rollout = trainer.generate(batch["query"], 14)
    trainer.log_stats(trainer.step(rollout, score(rollout.texts)))
    texts = gather_object(rollout.texts)
    trainer.save(arguments.folder)
if trainer.processes.is_main:
    numbers = torch.cat([p.detach().flatten() for p in trainer.parameters]).tolist()
    stats = {k: v for row in trainer.history for k, v in row.items() if not k.startswith("time/")}
    print(json.dumps({"processes": trainer.processes.count, "texts": texts, "stats": stats, "parameters": numbers}))
