"""Writes the models of ``torch_models`` with PyTorch's exporters, and what PyTorch computes for two sets of inputs.

``python tests/frontends/exporters/write_torch.py`` in an environment with torch, onnx and onnxscript leaves them in
``written_by_torch/``. What exporters note of their sources is left out, and weights and inputs have few bits and so
compress.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch_models import MODELS, Model

FOLDER = Path(__file__).parent / "written_by_torch"


def module(model: Model) -> torch.nn.Module:
    """The module with the same weights in every run, none of them trivial."""
    torch.manual_seed(7)
    made = model.make().eval()
    with torch.no_grad():
        for name, tensor in made.state_dict().items():
            if tensor.is_floating_point():
                if name.endswith(("running_var", "norm.weight")) or tensor.ndim == 1:
                    tensor.uniform_(0.5, 1.5)
                tensor.copy_((tensor * 256).round() / 256)
    return made


def feeds(model: Model) -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(8)
    return [{name: (x * 16).round() / 16 if x.is_floating_point() else x for name, x in model.inputs(k).items()}
            for k in (0, 1)]


def export(name: str, model: Model, exporter: str, path: Path) -> None:
    """One model's file."""
    inputs = feeds(model)[0]
    more = {"input_names": list(inputs)}
    if exporter == "dynamo":
        sizes = {axis: torch.export.Dim(axis) for axes in model.free.values() for axis in axes.values()}
        more |= {"dynamo": True, "external_data": False, "verbose": False,
                 "dynamic_shapes": tuple({axis: sizes[size] for axis, size in model.free.get(key, {}).items()}
                                         for key in inputs)}
    else:
        more |= {"dynamo": False, "dynamic_axes": model.free}
    torch.onnx.export(module(model), tuple(inputs.values()), str(path), **more)
    proto = onnx.load(path)
    for message in (proto, proto.graph, *proto.graph.node, *proto.functions, *proto.graph.value_info,
                    *proto.graph.input, *proto.graph.output):
        del message.metadata_props[:]
        message.doc_string = ""
    onnx.save(proto, path)


def main() -> None:
    """Write all, or those that are named."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MODELS:
        model = MODELS[name]
        arrays = {}
        for k, given in enumerate(feeds(model)):
            with torch.no_grad():
                results = module(model)(*given.values())
            results = results if isinstance(results, tuple) else (results,)
            arrays |= {f"{k}/in/{key}": tensor.numpy() for key, tensor in given.items()}
            arrays |= {f"{k}/out/{i}": tensor.numpy() for i, tensor in enumerate(results)}
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
        for exporter in model.exporters:
            export(name, model, exporter, FOLDER / f"{name}.{exporter}.onnx")


if __name__ == "__main__":
    main()
