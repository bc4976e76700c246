"""onnxruntime: RandomNormal and its kin."""

import onnxruntime
from onnx import TensorProto, helper

node = helper.make_node("RandomUniform", [], ["y"], shape=[3])
graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print(session.run(None, {})[0].tolist())
