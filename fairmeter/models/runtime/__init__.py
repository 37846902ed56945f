"""Runtime of fitted members: ONNX graphs, oblivious trees and dense networks."""
