"""A trained classifier as an ONNX file."""

import json
import logging
import warnings
from pathlib import Path

import torch

from diffaug.classifier.network import load_classifier
from diffaug.runtime.files import atomic_path


def write_classifier_onnx(folder: Path, target: Path) -> None:
    """Write the network: `images` float32 (N, 3, S, S), prepared as model.json says, to `logits` (N, classes). Its
    metadata are those of model.json. Raises UserError if the folder has no model."""
    import onnx

    model, facts = load_classifier(folder, torch.device("cpu"))
    example = torch.zeros(2, 3, facts["image_size"], facts["image_size"])
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with atomic_path(target) as temporary, warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            model,
            (example,),
            temporary,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
        graph = onnx.load(temporary)
        for key, value in facts.items():
            graph.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
        onnx.save(graph, temporary)
