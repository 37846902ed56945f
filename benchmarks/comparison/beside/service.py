"""BentoML's service, as in its example for XGBoost: `bentoml serve service:Scorer` in its own environment."""

import bentoml
import numpy as np
import xgboost


@bentoml.service
class Scorer:
    bento_model = bentoml.models.BentoModel("scorer:latest")

    def __init__(self) -> None:
        self.model = bentoml.xgboost.load_model(self.bento_model)

    @bentoml.api
    def predict(self, data: np.ndarray) -> np.ndarray:
        return self.model.predict(xgboost.DMatrix(data))
