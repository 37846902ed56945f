"""The least that Flask can do with a client sent as JSON: what the service's answers are timed beside."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/predict")
def predict():
    return {"hello": len(request.get_json()["invoices"])}


@app.get("/ready")
def ready():
    return {"status": "ready"}
