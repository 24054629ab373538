#!/usr/bin/env python3
"""Writes sklearn.json: what scikit-learn finds on its own small tables, which tests/system/test_families.py compares with
what Rondo finds federated.

Run it again (Debian: apt-get install python3-sklearn) with:  /usr/bin/python3 make_sklearn.py > sklearn.json

Breast cancer: rows whose number is a multiple of 5 (the first is 0) are for testing; features are standardised by the
training rows. Accuracy on the testing rows. Digits: naive Bayes on all rows, accuracy on the same, and two sums over the
parameters as a check on the closed forms that the test computes.
"""
import json

import numpy
from sklearn import cluster, datasets, linear_model, naive_bayes, svm


def breast_cancer():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    testing = numpy.arange(len(y)) % 5 == 0
    mean, deviation = x[~testing].mean(0), x[~testing].std(0)
    x = (x - mean) / deviation
    models = {"logistic": linear_model.LogisticRegression(C=1.0, max_iter=1000), "svm": svm.LinearSVC(C=1.0, loss="squared_hinge", max_iter=100000),
              "svm-hinge": svm.LinearSVC(C=1.0, loss="hinge", max_iter=1000000)}
    return {name: model.fit(x[~testing], y[~testing]).score(x[testing], y[testing]) for name, model in models.items()}


def digits():
    x, y = datasets.load_digits(return_X_y=True)
    found = {}
    for name, model in (("gaussian", naive_bayes.GaussianNB()), ("multinomial", naive_bayes.MultinomialNB()),
                        ("bernoulli", naive_bayes.BernoulliNB(binarize=0.0))):
        model.fit(x, y)
        first = model.theta_ if name == "gaussian" else model.feature_log_prob_
        second = model.var_ if name == "gaussian" else model.class_log_prior_
        found[name] = {"accuracy": model.score(x, y), "sums": [float(first.sum()), float(second.sum())]}
    return found


def iris():
    x = datasets.load_iris().data
    return {"inertia": cluster.KMeans(3, n_init=20, random_state=1).fit(x).inertia_ / len(x)}


print(json.dumps({"breast-cancer": breast_cancer(), "digits": digits(), "iris": iris()}, indent=1))
