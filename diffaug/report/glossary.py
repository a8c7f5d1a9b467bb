"""The eight words that the report uses in a special sense; docs/glossary.md says more of each."""

GLOSSARY = {
    "arm": "one of the two groups of models that are compared, real and merged; each has one model per seed",
    "control": "the arm real, trained on the real images only",
    "treatment": "the arm merged, trained on the same images and on what merge adds",
    "ledger": "the table of the filter: one row per synthetic image, with its scores and why it was rejected",
    "audit": "the check of generated scenes: the control detector must find each labelled object that it can judge",
    "plan": "the list of all images to draw, each with its class, mode, prompt and seed, made before the first one",
    "pool": "further real images that are in no split; in the default only the generator learns from them",
    "recipe": "what joins the real images in the treatment: synthetic images, or something to compare them with",
}
