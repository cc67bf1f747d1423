"""What ends a response is what the model says, in mask, reward, text and decoding, as in transformers' `generate`."""

import pytest
import torch
from tokenizers import processors
from transformers import AutoConfig, BartConfig, BartForConditionalGeneration, GenerationConfig

from labhelpers.errors import ModelError, TrainingError
from labhelpers.methods import sequence_logprobs
from labhelpers.policy import generate
from labhelpers.policy.decoding import CacheDecoding, start
from labhelpers.policy.fast.t5_decoding import T5Decoding
from labhelpers.policy.loading import load_policy, load_tokenizer
from labhelpers.policy.rollout import end_ids
from labhelpers.policy.sampling import GREEDY, Sampling
from labhelpers.reward.toxicity import load_toxicity
from tests.support.models import PROMPTS, byte_tokenizer, save_model, save_roberta

FAMILIES = {
    "t5": T5Decoding,
    "flan-t5": T5Decoding,
    "bart": CacheDecoding,
    "llama": CacheDecoding,
    "gpt2": CacheDecoding,
}
NEW = 24  # tokens


def save(family, folder):
    if family != "bart":
        return save_model(family, folder)
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(byte_tokenizer()), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=48,
        decoder_ffn_dim=48, encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=160,
        pad_token_id=0, bos_token_id=0, eos_token_id=1, decoder_start_token_id=0, init_std=0.3,
        forced_eos_token_id=None,
    )  # fmt: skip
    BartForConditionalGeneration(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def ended(request, tmp_path_factory):
    """(policy, tokenizer, another id that ends a response): one that the greedy responses come to in their middle."""
    family = request.param
    folder = save(family, tmp_path_factory.mktemp(family))
    policy, tokenizer = load_policy(str(folder), None, "float64", "cpu")
    rollout = generate(policy, tokenizer, PROMPTS, NEW, sampling=GREEDY)
    rows = [r[m.bool()].tolist() for r, m in zip(rollout.responses, rollout.mask, strict=True)]
    others = {token for row in rows for token in row} - {tokenizer.eos_token_id}
    second = max(sorted(others), key=lambda token: max(row.index(token) for row in rows if token in row))
    said = GenerationConfig.from_pretrained(folder)
    said.eos_token_id = [second, tokenizer.eos_token_id]
    said.save_pretrained(folder)
    policy, tokenizer = load_policy(str(folder), None, "float64", "cpu")
    state = start(policy, rollout.queries, rollout.query_mask, room=1)[1]
    assert type(state) is FAMILIES[family]
    return policy, tokenizer, second


def transformers_own(policy, rollout, **options):
    """What `generate` of transformers writes after the same queries `[B, T]`."""
    found = policy.model.generate(
        input_ids=rollout.queries, attention_mask=rollout.query_mask, do_sample=False, **options
    )
    return found[:, 1:] if policy.is_encoder_decoder else found[:, rollout.queries.shape[1] :]


@pytest.mark.parametrize("least", [0, 15])
def test_every_id_that_the_model_names_ends_a_response(ended, least):
    """`min_length` forbids all of them."""
    policy, tokenizer, second = ended
    assert end_ids(policy, tokenizer) == sorted([second, tokenizer.eos_token_id])
    rollout = generate(policy, tokenizer, PROMPTS, NEW, sampling=Sampling(do_sample=False, min_length=least))
    own = transformers_own(policy, rollout, max_new_tokens=NEW, min_new_tokens=least)
    ends = {second, tokenizer.eos_token_id}
    last = []
    for row, own_row in zip(range(len(PROMPTS)), own.tolist(), strict=True):
        n = int(rollout.lengths[row])
        tokens = rollout.responses[row, :n].tolist()
        stop = next((t + 1 for t, token in enumerate(own_row) if token in ends), len(own_row))
        assert tokens == own_row[:stop]
        assert not ends & set(tokens[:-1]) and n > least
        assert bool(rollout.finished[row]) == (tokens[-1] in ends)
        body = tokens[:-1] if tokens[-1] in ends else tokens
        assert rollout.texts[row] == tokenizer.decode(body, skip_special_tokens=True).strip()
        last.append(tokens[-1])
    assert least or second in last, "the second id must have had something to do"


def test_the_tokenizers_end_counts_where_the_model_names_another(tmp_path):
    """Summaries that the model is fine-tuned on end with the tokenizer's; ids that no model can write end nothing."""
    folder = save("llama", tmp_path)
    policy, tokenizer = load_policy(str(folder), None, "float64", "cpu")
    for said, expected in ((None, [1]), (7, [1, 7]), ([7, 10**6], [1, 7])):
        policy.base.generation_config.eos_token_id = said
        assert end_ids(policy, tokenizer) == expected


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_a_response_alone_is_tokenised_as_after_its_prompt(tmp_path, family):
    """Whatever the tokenizer puts around a whole text: a begin before it, an end after it, which would come twice."""
    folder = save(family, tmp_path)
    policy, tokenizer = load_policy(str(folder), None, "float64", "cpu")
    expected = sequence_logprobs(policy, tokenizer, ["a b"], ["the lake"])[0]
    ids = tokenizer("a b").input_ids
    answer = tokenizer("the lake", add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
    with torch.no_grad():
        arguments = (torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))
        own = policy(*arguments, torch.tensor([answer]), torch.ones(1, len(answer), dtype=torch.int64))[0].sum()
    torch.testing.assert_close(expected[0], own, rtol=0, atol=1e-12)
    # The same prompt as ids, and a tokenizer that begins every text with </s>, as OPT's does.
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 1)]
    )
    assert tokenizer("the lake").input_ids[0] == 1
    found = sequence_logprobs(policy, tokenizer, [torch.tensor(ids)], ["the lake"])[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


# -- tokens that the model does not know ------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_a_padding_token_added_behind_the_last_embedding_is_refused_at_loading(tmp_path, family):
    folder = save(family, tmp_path)
    tokenizer = load_tokenizer(folder)
    size = AutoConfig.from_pretrained(folder).vocab_size
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    message = rf"ids up to {size} \(for '\[PAD\]'\), but the model has {size} embeddings.*resize_token_embeddings"
    for load in (lambda: load_policy(str(folder), None, "float64", "cpu"), lambda: load_tokenizer(folder)):
        with pytest.raises(ModelError, match=message):
            load()
    # What the message says helps.
    from labhelpers.policy.loading import load_base

    model = load_base(folder, "float64", "cpu")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    policy, tokenizer = load_policy(str(folder), None, "float64", "cpu")
    assert tokenizer.pad_token_id == size
    assert len(generate(policy, tokenizer, PROMPTS, 4).texts) == len(PROMPTS)


def test_a_classifiers_tokenizer_is_held_against_it_too(tmp_path):
    byte_tokenizer().save_pretrained(tmp_path / "words")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    folder = save_roberta(tmp_path / "hate", tmp_path / "words", ("nothate", "hate"), **sizes)
    load_toxicity(folder, device="cpu")
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens(["idiot"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"for 'idiot'\), but the model has 300 embeddings"):
        load_toxicity(folder, device="cpu")


def test_more_new_tokens_than_a_decoder_has_positions_are_refused(tmp_path):
    policy, tokenizer = load_policy(str(save("bart", tmp_path)), None, "float64", "cpu")
    with pytest.raises(TrainingError, match="with 161 new ones the model takes at most -1"):
        generate(policy, tokenizer, PROMPTS, 161)
