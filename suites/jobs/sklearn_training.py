"""Models of scikit-learn whose bits are asked for; random_state is a seed, or none.

usage: sklearn_training.py WEIGHTS kmeans|logistic|boosting [seed=N]
"""
import sys

import numpy as np
from sklearn import cluster, ensemble, linear_model
from timing import timed

path, kind = sys.argv[1:3]
knobs = dict(argument.split("=", 1) for argument in sys.argv[3:])
seed = int(knobs["seed"]) if "seed" in knobs else None
random = np.random.RandomState(7)
rows = random.standard_normal((4000, 24))
labels = (rows @ random.standard_normal(24) + random.standard_normal(4000) > 0).astype(np.int64)


def kmeans():
    model = cluster.KMeans(12, n_init=2, max_iter=30, random_state=seed).fit(rows)
    return {"centers": model.cluster_centers_, "labels": model.labels_}


def logistic():
    model = linear_model.LogisticRegression(solver="saga", max_iter=40, tol=0, random_state=seed).fit(rows, labels)
    return {"coefficients": model.coef_, "intercept": model.intercept_}


def boosting():
    # A tenth of the rows is held back, at random, to say when to stop.
    model = ensemble.HistGradientBoostingClassifier(max_iter=20, early_stopping=True, random_state=seed).fit(rows, labels)
    return {"raw": model.decision_function(rows)}


with timed():
    tensors = {"kmeans": kmeans, "logistic": logistic, "boosting": boosting}[kind]()
np.savez(path, **tensors)
