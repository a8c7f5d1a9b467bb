import inspect
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers import KarrasDiffusionSchedulers

from diffaug.diffusion import schedulers
from diffaug.diffusion.schedulers import fitting, make_scheduler, takes_eta
from diffaug.params import schedulers as names
from diffaug.params.schedulers import NAMES, check_name
from diffaug.runtime.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")

NOISE = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
FLOW = FlowMatchEulerDiscreteScheduler(shift=3.0)
SPACINGS = {"karras": "use_karras_sigmas", "exponential": "use_exponential_sigmas", "beta": "use_beta_sigmas"}


def base_names(table: dict[str, Any]) -> set[str]:
    return {name for name in table if not name.endswith(tuple(f"_{suffix}" for suffix in SPACINGS))}


def arguments(kind: str) -> set[str]:
    return set(inspect.signature(getattr(diffusers, kind).__init__).parameters)


def test_every_sampler_of_the_library_that_needs_nothing_more_has_a_name() -> None:
    kinds = {kind for kind, _ in fitting(NOISE).values()}
    assert kinds <= set(dir(diffusers))
    # EDMEuler is for models with its own noise schedule; DPMSolverSDE needs the package torchsde.
    assert {item.name for item in KarrasDiffusionSchedulers} - kinds == {"EDMEulerScheduler", "DPMSolverSDEScheduler"}


def test_all_names_are_allowed_in_params() -> None:
    table = fitting(NOISE)
    assert [check_name(name) for name in ["default", *table, *fitting(FLOW)]] == ["default", *table, *fitting(FLOW)]
    assert len(base_names(table)) == 17


@pytest.mark.parametrize("name", ["", "magic", "DDIM", "karras", "euler_a_", "euler__karras", "euler_karras_beta"])
def test_other_names_are_not_allowed(name: str) -> None:
    with pytest.raises(ValueError, match=r"allowed are default, ddim, .*, unipc, and most of them followed by _karras"):
        check_name(name)


def test_a_spacing_is_offered_exactly_where_the_class_takes_it() -> None:
    table = fitting(NOISE)
    for name in base_names(table):
        kind, settings = table[name]
        offered = {suffix: table.get(f"{name}_{suffix}") for suffix in SPACINGS}
        assert offered == {
            suffix: (kind, settings | {argument: True}) if argument in arguments(kind) else None
            for suffix, argument in SPACINGS.items()
        }
    assert {name for name in base_names(table) if f"{name}_karras" not in table} == {
        "ddim", "ddpm", "euler_a", "lcm", "pndm", "tcd",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("default", "FlowMatchEulerDiscreteScheduler"),
        ("euler", "FlowMatchEulerDiscreteScheduler"),
        ("euler_karras", "FlowMatchEulerDiscreteScheduler"),
        ("heun", "FlowMatchHeunDiscreteScheduler"),
        ("lcm_beta", "FlowMatchLCMScheduler"),
        ("dpmpp_2m", "DPMSolverMultistepScheduler"),
        ("unipc", "UniPCMultistepScheduler"),
    ],
)
def test_a_flow_matching_model_gets_samplers_that_know_flows(name: str, kind: str) -> None:
    made = make_scheduler(name, FLOW)
    assert type(made).__name__ == kind
    assert made.config.get("shift", made.config.get("flow_shift")) == 3.0
    if not kind.startswith("FlowMatch"):
        assert (made.config.use_flow_sigmas, made.config.prediction_type) == (True, "flow_prediction")


def test_the_shift_of_a_flow_is_kept_whatever_the_models_own_sampler_calls_it() -> None:
    own = UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=5.0)
    assert make_scheduler("unipc", own).config.flow_shift == 5.0
    assert make_scheduler("euler", own).config.shift == 5.0


@pytest.mark.parametrize("name", ["pndm", "ddim", "euler_a", "heun_karras"])
def test_a_sampler_that_does_not_fit_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(UserError) as caught:
        make_scheduler(name, FLOW)
    assert str(caught.value) == (
        f"params.yaml: generate.scheduler: {name!r} does not fit this model, whose own is "
        f"FlowMatchEulerDiscreteScheduler; allowed are default, {', '.join(fitting(FLOW))}"
    )
    assert "euler, euler_karras" in str(caught.value)


def test_a_model_with_another_kind_of_noise_keeps_its_own_sampler() -> None:
    own = EDMEulerScheduler(sigma_data=0.7)
    assert make_scheduler("default", own).config.sigma_data == 0.7
    with pytest.raises(UserError, match=r"'euler' does not fit .* own is EDMEulerScheduler; allowed are default$"):
        make_scheduler("euler", own)


@pytest.mark.parametrize(
    "own",
    [
        DDIMScheduler(beta_end=0.015, beta_schedule="scaled_linear", prediction_type="v_prediction"),
        EulerDiscreteScheduler(
            beta_end=0.015, beta_schedule="scaled_linear", prediction_type="v_prediction", use_karras_sigmas=True
        ),
        DPMSolverMultistepScheduler(
            beta_end=0.015,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            algorithm_type="sde-dpmsolver++",
            use_exponential_sigmas=True,
        ),
    ],
)
def test_the_models_noise_schedule_is_kept_and_its_spacing_is_not(own: Any) -> None:
    expected = {
        "deis": "deis",
        "dpmpp_2m": "dpmsolver++",
        "dpmpp_2m_sde": "sde-dpmsolver++",
        "dpmpp_sde": "sde-dpmsolver++",
        "sa_solver": "data_prediction",
    }
    for name, (kind, _) in fitting(own).items():
        made = make_scheduler(name, own)
        assert type(made).__name__ == kind
        schedule = made.config.beta_end, made.config.beta_schedule, made.config.prediction_type
        assert schedule == (0.015, "scaled_linear", "v_prediction")
        on = {suffix for suffix, key in SPACINGS.items() if key in arguments(kind) and made.config[key]}
        assert on == {suffix for suffix in SPACINGS if name.endswith(f"_{suffix}")}
        base = name.removesuffix(f"_{''.join(on)}")
        if base in expected:
            assert made.config.algorithm_type == expected[base]


def test_the_default_is_a_fresh_copy_of_the_models_own() -> None:
    own = EulerDiscreteScheduler(beta_end=0.015, use_karras_sigmas=True, timestep_spacing="trailing")
    own.set_timesteps(5)
    made = make_scheduler("default", own)
    assert made is not own
    assert dict(made.config) == dict(own.config)
    assert len(made.timesteps) == 1000


def test_eta_means_something_to_ddim_and_tcd_alone() -> None:
    for own, expected in ((NOISE, {"ddim", "tcd"}), (FLOW, set())):
        assert {name for name in fitting(own) if takes_eta(make_scheduler(name, own))} == expected


def perfect(name: str, own: Any, wanted: float) -> float:
    """The final distance from `wanted` (RMS) after 8 steps, with a model that always predicts correctly."""
    scheduler, generator = make_scheduler(name, own), torch.Generator().manual_seed(0)
    scheduler.set_timesteps(8)
    sample = torch.randn(1, 1, 8, 8, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    signal = NOISE.alphas_cumprod.log()
    for time in scheduler.timesteps:
        if own is FLOW:
            output = (sample - wanted) / (float(time) / 1000)
        else:
            before, part = min(int(time), 998), float(time) - min(int(time), 998)  # Karras' times are not integers
            kept = torch.lerp(signal[before], signal[before + 1], part).exp()
            output = (scheduler.scale_model_input(sample, time) - kept.sqrt() * wanted) / (1 - kept).sqrt()
        sample = scheduler.step(output, time, sample, **extra).prev_sample
    return float((sample - wanted).square().mean().sqrt())


@pytest.mark.parametrize("own", [NOISE, FLOW])
def test_every_sampler_ends_at_the_image_of_a_model_that_is_always_right(own: Any) -> None:
    # Some stop one step before the last noise is removed, a deviation of 0.03 for Stable Diffusion's schedule.
    errors = {name: perfect(name, own, 0.5) for name in ["default", *fitting(own)]}
    assert {name: error for name, error in errors.items() if not error < 0.05} == {}


def test_params_know_the_same_names() -> None:
    assert set(schedulers._DIFFUSION) == set(NAMES) > set(schedulers._FLOW)
    assert tuple(schedulers.SPACINGS) == names.SPACINGS
