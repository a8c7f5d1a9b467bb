"""The eight words that the report uses in a special sense: first sentences of docs/glossary.md."""

GLOSSARY = {
    "arm": "one of the two groups of models that are compared.",
    "control": "the arm real, trained on the real images only.",
    "treatment": ("the arm merged, trained on the same real images and on what merge adds, normally synthetic images."),
    "ledger": (
        "the table of the filter, with one row per synthetic image: its scores, and the reason if it was rejected."
    ),
    "audit": "the filter's check of generated detection scenes by the control detector.",
    "plan": "the list of all images that generate will draw, each with its class, mode, prompt and seed.",
    "pool": "further real images that are in none of the splits.",
    "recipe": "what joins the real images in the treatment: synthetic images, or something to compare them with.",
}
