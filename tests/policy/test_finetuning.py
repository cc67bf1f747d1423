"""Fine-tuning computes the model's own loss, in less memory: for both families, and for a batch in parts."""

import pytest
import torch
from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainingArguments

from labhelpers.course.profiles import load_profile
from labhelpers.policy import SFTTrainer, load_policy, load_tokenizer
from labhelpers.sources import build_dataset, sft_features

TINY = load_profile("tiny")


def trainer_of(location, folder, **options):
    policy, _ = load_policy(location, None, "float64", "cpu")
    tokenizer = load_tokenizer(location)
    features = sft_features(build_dataset(TINY.dialogues, "train", tokenizer, max_rows=6), tokenizer,
                            policy.is_encoder_decoder)  # fmt: skip
    collator = DataCollatorForSeq2Seq(tokenizer, model=policy.model, label_pad_token_id=-100)
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True, max_steps=1,
        logging_steps=1, learning_rate=1e-3, **options,
    )  # fmt: skip
    return SFTTrainer(policy, args=arguments, train_dataset=features, data_collator=collator)


@pytest.mark.parametrize("location", [TINY.policy_model, TINY.decoder_model])
def test_loss_and_gradients_are_the_models_own(location, tmp_path):
    trainer = trainer_of(location, tmp_path)
    batch = trainer.data_collator(list(trainer.train_dataset))
    assert (batch["labels"] == -100).any(), "without padding or a prompt this would show less"
    parameters = [p for p in trainer.policy.model.parameters() if p.requires_grad]
    own = trainer.policy.model(**batch).loss
    expected = torch.autograd.grad(own, parameters)
    loss = trainer.compute_loss(trainer.model, batch)
    assert loss.item() == pytest.approx(own.item(), rel=1e-5)  # Llama computes its own in float32
    for got, want in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("location", [TINY.policy_model, TINY.decoder_model])
def test_a_batch_in_parts_takes_the_same_step(location, tmp_path):
    steps = {}
    for rows in (6, 2):
        trainer = trainer_of(
            location, tmp_path, per_device_train_batch_size=rows, gradient_accumulation_steps=6 // rows
        )
        trainer.train()
        loss = next(row["loss"] for row in trainer.state.log_history if "loss" in row)
        steps[rows] = loss, [p.detach().clone() for p in trainer.policy.model.parameters() if p.requires_grad]
    assert steps[2][0] == pytest.approx(steps[6][0], rel=1e-6)  # the trainer adds losses in float32
    for got, want in zip(steps[2][1], steps[6][1], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-7)


def test_logits_exist_for_target_tokens_only(tmp_path, monkeypatch):
    trainer = trainer_of(TINY.decoder_model, tmp_path)
    batch = trainer.data_collator(list(trainer.train_dataset))
    seen = []
    monkeypatch.setattr(
        "labhelpers.policy.model.chosen_logprobs",
        lambda head, states, tokens: seen.append(len(states)) or states.sum(-1),
    )
    trainer.compute_loss(trainer.model, batch)
    assert seen == [int((batch["labels"] != -100).sum())]
