"""What licences say about training on a model's images. This is a hint for the user, not legal advice."""

# By the license or license_name of the model card; a summary of its terms for outputs and use.
_LIMITS = {
    "flux-1-dev-non-commercial-license": (
        "non-commercial use only, and its images must not train a model that competes with FLUX.1 [dev]"
    ),
    "flux-non-commercial-license": (
        "non-commercial use only, and its images must not train a model that competes with FLUX"
    ),
    "flux-dev-non-commercial-license": (
        "non-commercial use only, and its images must not train a model that competes with FLUX [dev]"
    ),
    "sai-nc-community": "non-commercial use only",
    "stabilityai-nc-research-community": "non-commercial research only",
    "stabilityai-ai-community": (
        "free up to a yearly revenue that it states, and its images must not train a foundational generative model"
    ),
    "stabilityai-non-commercial-research-community": "non-commercial research only",
    "cc-by-nc-4.0": "non-commercial use only",
    "cc-by-nc-sa-4.0": "non-commercial use only",
}


def licence_warning(model: str, licence: str | None) -> str | None:
    """One sentence if the licence limits which models may be trained on the images; None if no limit is known."""
    limit = _LIMITS.get((licence or "").lower())
    if limit is None and "non-commercial" in (licence or "").lower():
        limit = "non-commercial use only"
    if limit is None:
        return None
    return f"{model} is licensed under {licence}: {limit}; read it before you train on, or share, what was made here"
