#!/usr/bin/env python3
"""Writes onnx_lstm.json, onnx_gru.json and onnx_rnn.json: published numbers of the ONNX operator standard. Needs
`pip install onnx`; the files are committed, the tests need no Python. See `provenance` in the files for what they hold.
"""
import json
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

STATES = ["initial_h", "initial_c"]
OPERATORS = {  # gates, inputs by position, outputs by position
    "LSTM": (4, ["X", "W", "R", "B", "sequence_lens", *STATES, "P"], ["Y", "Y_h", "Y_c"]),
    "GRU": (3, ["X", "W", "R", "B", "sequence_lens", STATES[0]], ["Y", "Y_h"]),
    "RNN": (1, ["X", "W", "R", "B", "sequence_lens", STATES[0]], ["Y", "Y_h"]),
}
PROVENANCE = (
    f"Numbers of the ONNX operator standard, onnx {onnx.__version__} (Apache-2.0), written by make_onnx.py. "
    "'published': inputs and expected outputs of the standard's backend node test of that name, as "
    "onnx.backend.test.case.node collects it (float32). 'computed': forms that those tests leave out or cannot"
    " tell apart (their weights are mostly constant, so that a swapped gate would not show): short random "
    "inputs, multiples of 1/64, evaluated by onnx.reference.ReferenceEvaluator in float64. Layout is ONNX's: X"
    " [T, B, D] (layout 1: [B, T, D]), W [dirs, gates*H, D], R [dirs, gates*H, H], B [dirs, Wb then Rb], P "
    "[dirs, i o f]; gate order LSTM i o f c, GRU z r h."
)


def tensor(values):
    """float32 as the shortest decimals that read back, float64 in full."""
    values = np.asarray(values)
    single = values.dtype == np.float32
    return {"shape": list(values.shape), "data": [float(str(v)) if single else float(v) for v in values.ravel()]}


def entry(name, origin, node, inputs, outputs):
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {
        "name": name,
        "origin": origin,
        "direction": attributes.get("direction", b"forward").decode(),
        "layout": attributes.get("layout", 0),
        "linear_before_reset": attributes.get("linear_before_reset", 0),
        "hidden_size": attributes["hidden_size"],
        "inputs": {n: tensor(v) for n, v in inputs.items()},
        "outputs": {n: tensor(v) for n, v in outputs.items()},
    }


def published(operator, tests):
    _, input_names, output_names = OPERATORS[operator]
    for test in tests:
        node = test.model.graph.node[0]
        if node.op_type != operator or len(test.model.graph.node) != 1:
            continue
        given, expected = map(iter, test.data_sets[0])
        inputs = {n: next(given) for n, used in zip(input_names, node.input) if used}
        outputs = {n: next(expected) for n, used in zip(output_names, node.output) if used}
        lengths = inputs.pop("sequence_lens", None)
        assert lengths is None or np.all(lengths == inputs["X"].shape[0]), "every published case runs whole sequences"
        yield entry(test.name, "published", node, inputs, outputs)


def computed(operator, name, random, directions=1, peepholes=False, **attributes):
    gates, input_names, output_names = OPERATORS[operator]
    time, batch, width, hidden = 5, 2, 3, 4

    def draw(*shape, scale=0.5):
        return np.round(random.normal(size=shape) * scale * 64) / 64

    inputs = {"X": draw(time, batch, width, scale=1), "W": draw(directions, gates * hidden, width),
              "R": draw(directions, gates * hidden, hidden), "B": draw(directions, 2 * gates * hidden)}
    for state in STATES[: 2 if operator == "LSTM" else 1]:
        inputs[state] = draw(directions, batch, hidden)
    if peepholes:
        inputs["P"] = draw(directions, 3 * hidden)
    positions = [n if n in inputs else "" for n in input_names]
    while not positions[-1]:
        positions.pop()
    node = helper.make_node(operator, positions, output_names, hidden_size=hidden, **attributes)
    graph = helper.make_graph(
        [node], "case", [helper.make_tensor_value_info(n, TensorProto.DOUBLE, v.shape) for n, v in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in output_names])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    outputs = dict(zip(output_names, ReferenceEvaluator(model).run(None, inputs)))
    return entry(name, "computed", node, inputs, outputs)


def main():
    tests = [t for t in collect_testcases(None) if t.kind == "node"]
    cases = {operator: list(published(operator, tests)) for operator in OPERATORS}
    random = np.random.default_rng(20240601)
    both = {"directions": 2, "direction": "bidirectional"}
    cases["RNN"] += [computed("RNN", "random_forward", random), computed("RNN", "random_bidirectional", random, **both)]
    cases["LSTM"] += [
        computed("LSTM", "random_forward", random),
        computed("LSTM", "random_peepholes", random, peepholes=True),
        computed("LSTM", "random_reverse", random, direction="reverse"),
        computed("LSTM", "random_bidirectional", random, **both),
        computed("LSTM", "random_bidirectional_peepholes", random, peepholes=True, **both),
    ]
    for after, form in enumerate(["reset_before", "reset_after"]):
        cases["GRU"].append(computed("GRU", f"random_{form}", random, linear_before_reset=after))
        cases["GRU"].append(computed("GRU", f"random_bidirectional_{form}", random, linear_before_reset=after, **both))
    for operator, entries in cases.items():
        with open(f"onnx_{operator.lower()}.json", "w") as out:
            out.write(f'{{\n"provenance": {json.dumps(PROVENANCE)},\n"operator": "{operator}",\n"cases": [\n')
            out.write(",\n".join(map(json.dumps, entries)) + "\n]}\n")


if __name__ == "__main__":
    main()
