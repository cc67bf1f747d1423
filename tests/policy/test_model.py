"""The policy and its reference, for both families: same start, honest rollouts, one adapter that a bare base loads."""

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration

from labhelpers.errors import ModelError, TrainingError
from labhelpers.policy import generate, generate_texts, print_number_of_trainable_model_parameters
from labhelpers.policy.loading import init_adapter, load_base, load_policy, load_policy_from, make_policy
from labhelpers.policy.model import Policy
from labhelpers.policy.rollout import pad_queries
from labhelpers.policy.sampling import GREEDY, Sampling
from tests.support.models import FAMILIES, PROMPTS, save_model, save_sft_adapter, tiny_model

LIMITS = [24, 5, 24, 17, 1]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folders(family, tmp_path_factory):
    folder = tmp_path_factory.mktemp(family)
    return save_model(family, folder / "base"), save_sft_adapter(family, folder / "sft")


def load(folders, dtype=torch.float64, trained=True, **options):
    policy, tokenizer = load_policy(str(folders[0]), folders[1], dtype, **options)
    if trained:
        train_a_little(policy)
    return policy, tokenizer


def train_a_little(policy):
    """Stands for PPO updates: the adapter and the value head are no longer at their start."""
    torch.manual_seed(5)
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name or "value_head" in name:
            parameter.data = parameter.data + torch.randn_like(parameter) * 0.1


def teacher_forced(policy, rollout):
    with torch.no_grad():
        return policy(rollout.queries, rollout.query_mask, rollout.responses, rollout.mask)


def test_batched_generation_equals_one_at_a_time(folders):
    """Whatever the padding and the split, token for token (float64)."""
    policy, tokenizer = load(folders)
    whole = generate(policy, tokenizer, PROMPTS, LIMITS, seed=3, step=2)
    assert whole.lengths.max() > whole.lengths.min()
    for rows in ([0], [1], [2], [3], [4], [3, 1], [4, 0, 2]):
        part = generate(
            policy, tokenizer, [PROMPTS[i] for i in rows], [LIMITS[i] for i in rows], seed=3, step=2, rows=rows
        )
        for place, row in enumerate(rows):
            n = int(whole.lengths[row])
            assert int(part.lengths[place]) == n
            assert torch.equal(part.responses[place, :n], whole.responses[row, :n])
            torch.testing.assert_close(part.logprobs[place, :n], whole.logprobs[row, :n], rtol=0, atol=1e-10)
            assert part.texts[place] == whole.texts[row]
    split = generate_texts(policy, tokenizer, PROMPTS, 24, batch_size=2, seed=3, step=2)
    assert split == generate(policy, tokenizer, PROMPTS, 24, seed=3, step=2).texts


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_stored_logprobs_and_values_equal_a_recomputation(folders, dtype, tolerance):
    policy, tokenizer = load(folders, dtype)
    rollout = generate(policy, tokenizer, PROMPTS, 30, seed=1)
    logprobs, values = teacher_forced(policy, rollout)
    torch.testing.assert_close(rollout.logprobs, logprobs, rtol=0, atol=tolerance)
    torch.testing.assert_close(rollout.values, values, rtol=0, atol=tolerance)
    assert (rollout.values[rollout.mask.bool()] != 0).all()


def test_rows_cut_padding_and_change_nothing(folders):
    policy, tokenizer = load(folders)
    rollout = generate(policy, tokenizer, PROMPTS, LIMITS, seed=3)
    whole, _ = teacher_forced(policy, rollout)
    index = torch.tensor([4, 1])
    part = rollout.rows(index)
    assert part.queries.shape[1] < rollout.queries.shape[1] and part.mask.shape[1] <= 9
    logprobs, _ = teacher_forced(policy, part)
    torch.testing.assert_close(logprobs, whole[index][:, : part.mask.shape[1]], rtol=0, atol=1e-10)


def test_prompts_encoded_beforehand_change_nothing(folders):
    """What the rollout keeps of the encoder is what a pass over the same rows would compute, padding or not."""
    policy, tokenizer = load(folders)
    rollout = generate(policy, tokenizer, PROMPTS, LIMITS, seed=3)
    if not policy.is_encoder_decoder:
        assert rollout.encoded is None
        return
    for part in (rollout, rollout.rows(torch.tensor([4, 1]))):
        with torch.no_grad():
            kept = policy(part.queries, part.query_mask, part.responses, part.mask, part.encoded)
        for found, expected in zip(kept, teacher_forced(policy, part), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def gradients_and_logprobs(folders, dtype, fused):
    """As one vector in float64; `fused=False` gives the LoRA layers peft's own forward pass back."""
    policy, tokenizer = load(folders, dtype)
    for module in policy.modules():
        if not fused and isinstance(module, LoraLinear):
            del module.forward
    queries, query_mask = pad_queries(PROMPTS, tokenizer, policy.padding_side, policy.device)
    responses = torch.arange(40, 60).view(5, 4)
    logprobs, _ = policy(queries, query_mask, responses, torch.ones_like(responses))
    logprobs.mean().backward()
    gradients = [p.grad for name, p in policy.named_parameters() if ".lora_" in name]
    assert gradients and all(g.dtype in (torch.float32, torch.float64) for g in gradients)
    return torch.cat([t.detach().double().flatten() for t in (logprobs, *gradients)])


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_adapters_single_product_equals_pefts_layer(folders, dtype, tolerance):
    """Log-probabilities and the adapter's gradients, which stay in the adapter's own precision."""
    ours, pefts = (gradients_and_logprobs(folders, dtype, fused) for fused in (True, False))
    assert (ours - pefts).norm() <= tolerance * pefts.norm()


def test_the_adapters_single_product_is_no_worse_than_pefts_layer_in_bfloat16(folders):
    exact = gradients_and_logprobs(folders, torch.float64, fused=False)
    errors = [(gradients_and_logprobs(folders, torch.bfloat16, fused) - exact).norm() for fused in (True, False)]
    assert 0 < errors[0] <= 1.5 * errors[1]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 1e-5)])
def test_reference_is_the_sft_model_so_kl_starts_at_zero(folders, dtype, tolerance):
    policy, tokenizer = load(folders, dtype, trained=False)
    rollout = generate(policy, tokenizer, PROMPTS, 20, seed=1)
    logprobs, _ = teacher_forced(policy, rollout)
    with policy.reference():
        reference, _ = teacher_forced(policy, rollout)
    assert (logprobs - reference).sum(-1).abs().max() <= tolerance
    train_a_little(policy)
    with policy.reference():
        after, _ = teacher_forced(policy, rollout)
    assert torch.equal(after, reference), "training the PPO adapter must leave the reference alone"
    assert (teacher_forced(policy, rollout)[0] - reference).abs().max() > 1e-3


def test_the_old_behaviour_would_fail_the_check_above(folders):
    """Continuing the SFT adapter and disabling it for the reference gives the *base* model: KL is far from 0."""
    base = load_base(str(folders[0]), torch.float64)
    policy = Policy(PeftModel.from_pretrained(base, str(folders[1]), is_trainable=True)).eval()
    _, tokenizer = load(folders)
    rollout = generate(policy, tokenizer, PROMPTS, 20, seed=1)
    with policy.reference():
        reference, _ = teacher_forced(policy, rollout)
    assert (rollout.logprobs - reference).sum(-1).abs().mean() > 0.1


@pytest.mark.parametrize("with_sft", [True, False])
def test_what_save_wrote_is_the_same_policy_again(folders, tmp_path, with_sft):
    """Adapter and value head: by `load_policy_from`, and the adapter by peft alone on the bare base.

    In float64, but adapters are stored and folded in float32, which is seen in the seventh digit.
    """
    policy, tokenizer = load_policy(str(folders[0]), folders[1] if with_sft else None, torch.float64)
    train_a_little(policy)
    rollout = generate(policy, tokenizer, PROMPTS, 20, seed=1)
    expected = teacher_forced(policy, rollout)
    assert (expected[1][rollout.mask.bool()] != 0).all()
    policy.save(tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(
        ["adapter_config.json", "adapter_model.safetensors", "value_head.safetensors"]
    )
    again, its_tokenizer = load_policy_from(tmp_path, str(folders[0]), torch.float64)
    for found, before in zip(teacher_forced(again, rollout), expected, strict=True):
        torch.testing.assert_close(found, before, rtol=0, atol=1e-6)
    assert generate(again, its_tokenizer, PROMPTS, 20, seed=1).texts == rollout.texts
    pefts = Policy(PeftModel.from_pretrained(load_base(str(folders[0]), torch.float64), str(tmp_path))).eval()
    torch.testing.assert_close(teacher_forced(pefts, rollout)[0], expected[0], rtol=0, atol=1e-6)


def test_training_goes_on_from_what_was_saved(folders, tmp_path):
    """The reference of a policy that was loaded is the policy as it was saved; saving it again folds both trainings."""
    policy, tokenizer = load(folders)
    policy.save(tmp_path / "first")
    again, _ = load_policy_from(tmp_path / "first", str(folders[0]), torch.float64, lora_r=3)
    rollout = generate(again, tokenizer, PROMPTS, 20, seed=1)
    with again.reference():
        torch.testing.assert_close(teacher_forced(again, rollout)[0], rollout.logprobs, rtol=0, atol=1e-9)
    torch.testing.assert_close(rollout.logprobs, teacher_forced(policy, rollout)[0], rtol=0, atol=1e-6)
    assert any(p.requires_grad for name, p in again.named_parameters() if ".lora_" in name)
    train_a_little(again)
    expected, values = teacher_forced(again, rollout)
    assert (expected - rollout.logprobs).abs().max() > 1e-3
    again.save(tmp_path / "second")
    third, _ = load_policy_from(tmp_path / "second", str(folders[0]), torch.float64)
    torch.testing.assert_close(teacher_forced(third, rollout)[0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(teacher_forced(third, rollout)[1], values, rtol=0, atol=1e-5)


def test_a_folder_without_a_value_head_that_fits_is_refused(folders, tmp_path):
    with pytest.raises(ModelError, match="holds no value_head.safetensors: it was not written by Policy.save"):
        load_policy_from(folders[1], str(folders[0]))
    policy, _ = load(folders, trained=False)
    policy.save(tmp_path)
    save_file({"weight": torch.zeros(1, 7), "bias": torch.zeros(1)}, tmp_path / "value_head.safetensors")
    with pytest.raises(ModelError, match=r"does not fit: it holds bias \(1,\), weight \(1, 7\), this policy's .* 32"):
        load_policy_from(tmp_path, str(folders[0]))


def test_the_naive_save_loads_silently_and_is_wrong(folders, tmp_path):
    policy, tokenizer = load(folders, torch.float32)
    rollout = generate(policy, tokenizer, PROMPTS, 20, seed=1)
    policy.model.save_pretrained(tmp_path)
    naive = Policy(PeftModel.from_pretrained(load_base(str(folders[0]), torch.float32), str(tmp_path))).eval()
    assert (teacher_forced(naive, rollout)[0] - rollout.logprobs).abs().max() > 0.1


def test_folding_adapters_on_different_layers(tmp_path):
    base = save_model("llama", tmp_path / "base")
    sft = save_sft_adapter("llama", tmp_path / "sft")
    options = {"target_modules": ["v_proj", "o_proj"], "lora_r": 3, "lora_alpha": 5}
    policy, tokenizer = load_policy(str(base), sft, torch.float64, **options)
    train_a_little(policy)
    rollout = generate(policy, tokenizer, PROMPTS, 20, seed=1)
    policy.save(tmp_path / "out")
    reloaded = Policy(PeftModel.from_pretrained(load_base(str(base), torch.float64), str(tmp_path / "out"))).eval()
    torch.testing.assert_close(teacher_forced(reloaded, rollout)[0], rollout.logprobs, rtol=0, atol=1e-6)


def test_sampling_options_do_what_their_names_say(folders):
    policy, tokenizer = load(folders)
    greedy = generate(policy, tokenizer, PROMPTS, 12, sampling=GREEDY)
    assert generate(policy, tokenizer, PROMPTS, 12, sampling=Sampling(top_k=1), seed=9).texts == greedy.texts
    assert generate(policy, tokenizer, PROMPTS, 12, sampling=Sampling(temperature=1e-4), seed=9).texts == greedy.texts
    assert generate(policy, tokenizer, PROMPTS, 12, sampling=Sampling(top_p=1e-9), seed=9).texts == greedy.texts
    long = generate(policy, tokenizer, PROMPTS, 40, sampling=Sampling(min_length=30), seed=9)
    eos = tokenizer.eos_token_id
    assert (long.lengths > 30).all() and not (long.responses[:, :30] == eos).any()
    free = generate(policy, tokenizer, PROMPTS, 40, seed=9)
    assert (free.lengths < 30).any(), "the option must have had something to do"
    assert free.behaviour_logprobs is None


def test_logprobs_are_the_policys_own_when_sampling_is_cut(folders):
    """`logprobs` stay those of the policy; `behaviour_logprobs` are those of what was sampled from."""
    policy, tokenizer = load(folders)
    rollout = generate(
        policy, tokenizer, PROMPTS, 15, sampling=Sampling(top_k=3, temperature=0.7, min_length=2), seed=4
    )
    torch.testing.assert_close(rollout.logprobs, teacher_forced(policy, rollout)[0], rtol=0, atol=1e-10)
    keep = rollout.mask.bool()
    assert (rollout.behaviour_logprobs[keep] > rollout.logprobs[keep]).float().mean() > 0.8


def test_mask_ends_with_the_first_end_of_sequence(folders):
    policy, tokenizer = load(folders)
    rollout = generate(policy, tokenizer, PROMPTS, 40, seed=2)
    assert rollout.finished.any()
    for row in range(len(PROMPTS)):
        n = int(rollout.lengths[row])
        tokens = rollout.responses[row, :n].tolist()
        assert rollout.mask[row].tolist() == [1] * n + [0] * (rollout.mask.shape[1] - n)
        assert tokenizer.eos_token_id not in tokens[:-1]
        assert bool(rollout.finished[row]) == (tokens[-1] == tokenizer.eos_token_id)
        assert (rollout.responses[row, n:] == tokenizer.pad_token_id).all()


def test_padding_stands_on_the_familys_side(folders):
    policy, tokenizer = load(folders)
    rollout = generate(policy, tokenizer, PROMPTS[:2], 2)
    column = 0 if policy.is_encoder_decoder else -1
    assert rollout.query_mask[:, column].all()
    assert tokenizer.padding_side == ("right" if policy.is_encoder_decoder else "left")


def test_greedy_agrees_with_transformers_generate(folders):
    policy, tokenizer = load(folders)
    rollout = generate(policy, tokenizer, PROMPTS, 12, sampling=GREEDY)
    stock = policy.model.generate(
        input_ids=rollout.queries, attention_mask=rollout.query_mask, max_new_tokens=12, do_sample=False
    )
    stock = stock[:, 1:] if policy.is_encoder_decoder else stock[:, rollout.queries.shape[1] :]
    for row in range(len(PROMPTS)):
        n = int(rollout.lengths[row])
        assert stock[row, :n].tolist() == rollout.responses[row, :n].tolist()


def test_bad_queries_are_refused(folders):
    policy, tokenizer = load(folders)
    with pytest.raises(TrainingError, match="no query"):
        generate(policy, tokenizer, [], 5)
    with pytest.raises(TrainingError, match="query 1 has no token"):
        generate(policy, tokenizer, [torch.tensor([5]), torch.tensor([], dtype=torch.int64)], 5)
    with pytest.raises(TrainingError, match="max_new_tokens"):
        generate(policy, tokenizer, PROMPTS, 0)
    with pytest.raises(TrainingError, match="max_new_tokens"):
        generate(policy, tokenizer, PROMPTS, [3, 4])
    if not policy.is_encoder_decoder:
        with pytest.raises(TrainingError, match="the model takes"):
            generate(policy, tokenizer, ["ab " * 200], 5)


def test_models_that_are_not_there_or_not_safe_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no language model"):
        load_base(str(tmp_path / "nowhere"))
    model = get_peft_model(tiny_model("t5"), LoraConfig(target_modules=["q"], use_rslora=True))
    model.save_pretrained(tmp_path / "rs")
    with pytest.raises(ModelError, match="not plain LoRA .* Leave out use_rslora=True"):
        make_policy(tiny_model("t5"), tmp_path / "rs")
    (tmp_path / "rs" / "adapter_model.safetensors").rename(tmp_path / "rs" / "adapter_model.bin")
    with pytest.raises(ModelError, match="Pickled"):
        make_policy(tiny_model("t5"), tmp_path / "rs")
    with pytest.raises(ModelError, match="no adapter"):
        make_policy(tiny_model("t5"), tmp_path)


def test_start_weights_depend_on_the_seed_alone():
    def start(seed):
        torch.manual_seed(torch.seed())
        model = get_peft_model(tiny_model("t5"), LoraConfig(target_modules=["q", "v"]))
        init_adapter(model, seed)
        return {n: p.clone() for n, p in model.named_parameters() if "lora_A" in n}

    one, two, other = start(1), start(1), start(2)
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert not any(torch.equal(one[n], other[n]) for n in one)
    first, second = list(one.values())[:2]
    assert not torch.equal(first, second), "layers must not start alike"


def test_the_labs_exact_parameter_counts():
    """FLAN-T5-base with a separate lm_head, LoRA r 32 on q and v: counted on the meta device, without weights."""
    config = T5Config(
        vocab_size=32128, d_model=768, d_kv=64, d_ff=2048, num_layers=12, num_heads=12,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
    )  # fmt: skip
    with torch.device("meta"):
        base = T5ForConditionalGeneration(config)
        base.lm_head.weight = torch.nn.Parameter(torch.empty(32128, 768))  # FLAN-T5's own, not the embedding
        lora = LoraConfig(r=32, lora_alpha=32, target_modules=["q", "v"], lora_dropout=0.05, task_type="SEQ_2_SEQ_LM")
        model = get_peft_model(base, lora)
        assert model.get_nb_trainable_parameters() == (3_538_944, 251_116_800)
        policy = Policy(model)
        assert policy.trainable_parameters() == (3_539_713, 251_117_569)
        reference = copy.deepcopy(policy).requires_grad_(False)
        assert reference.trainable_parameters() == (0, 251_117_569)


def test_the_labs_count_tells_what_is_trained_and_that_the_reference_is_not(folders):
    policy, _ = load(folders, trained=False)
    adapter = sum(p.numel() for name, p in policy.model.named_parameters() if "lora_" in name)
    total = sum(p.numel() for p in policy.model.parameters())
    text = print_number_of_trainable_model_parameters(policy.model)
    assert text.splitlines()[:2] == [f"trainable model parameters: {adapter}", f"all model parameters: {total}"]
    with policy.reference():
        text = print_number_of_trainable_model_parameters(policy.model)
    assert text.splitlines()[0] == "trainable model parameters: 0" and text.endswith(" 0.00%")
    assert policy.trainable_parameters() == (adapter + 33, total + 33), "d + 1 of them are the value head's"


def test_a_checkpoint_cut_short_or_without_all_its_layers_is_refused(tmp_path):
    """transformers fills what is missing with random numbers."""
    folder = save_model("t5", tmp_path)
    file = folder / "model.safetensors"
    whole = load_file(file)
    save_file({name: t for name, t in whole.items() if ".block.1." not in name}, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks .* parameters of T5ForConditionalGeneration, .*random"):
        load_base(str(folder), "float32", "cpu")
    save_file(whole, file, metadata={"format": "pt"})
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="no language model could be loaded"):
        load_base(str(folder), "float32", "cpu")
