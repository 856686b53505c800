"""A traced transformer as a small int8 ONNX graph; the only file that touches onnx and onnxruntime's tools.

What was tried and measured is in docs/decisions/0001-int8-model.md.
"""

from pathlib import Path

from src.artifacts import MODEL_DATA_FILE, MODEL_FILE

QUANTISATION = "int8 dynamic; weights per channel in reduced range (7 bits), embedding tables per tensor"
INLINE_BYTES = 1024


def fuse(traced: Path, fused: Path, *, heads: int, hidden_size: int) -> None:
    """Fold the usual groups of nodes (attention, layer norm, GELU, embeddings) into one node each.

    The fused nodes run on every CPU; a graph of another shape is left as it is.
    """
    from onnxruntime.transformers.optimizer import optimize_model

    graph = optimize_model(str(traced), "bert", num_heads=heads, hidden_size=hidden_size, opt_level=0)
    graph.save_model_to_file(str(fused))


def quantise(fused: Path, quantised: Path) -> None:
    """Quantise the weights to int8; activations are quantised as they come.

    Reduced range, because full int8 weights saturate on CPUs without VNNI; per channel, because per tensor in reduced
    range costs a tenth of the ranking.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(fused)
    add_pre_process_metadata(model)
    quantize_dynamic(
        model,
        quantised,
        op_types_to_quantize=["MatMul", "Attention", "Gather", "EmbedLayerNormalization"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def write_graph(source: Path, model_dir: Path) -> None:
    """Write the graph and, beside it, its weights: a file of their own is mapped into memory, not copied."""
    import onnx

    onnx.save_model(
        onnx.load(source),
        model_dir / MODEL_FILE,
        save_as_external_data=True,
        location=MODEL_DATA_FILE,
        size_threshold=INLINE_BYTES,
    )
    (model_dir / MODEL_DATA_FILE).chmod(0o644)
