"""Data that come in pieces: what fit, evaluate and predict take, what they do with it, and how it ends."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import nnx
from nnx.errors import DataError, DtypeError, OptionError, ShapeError
from nnx.layers import Dense, Dropout

X = np.random.default_rng(0).random((20, 4), dtype="float32")
Y = np.eye(3, dtype="float32")[np.arange(20) % 3]
W = np.linspace(0.0, 2.0, 20)
SIZES = (0, 7, 10, 16, 20)  # of pieces: 7, 3, 6, 4


def model(backend="numpy", **options):
    layers = [Dense(5, "tanh", input_shape=(4,)), Dropout(0.3), Dense(3, "softmax")]
    m = nnx.Sequential(layers, backend=backend, seed=3, **options)
    m.compile(nnx.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return m


def batches(*arrays, sizes=SIZES):
    return [tuple(a[i:j] for a in arrays) for i, j in itertools.pairwise(sizes)]


class Numbered:
    """Pieces by number, without Python's iteration, that writes down what it is asked for."""

    def __init__(self, pieces):
        self.pieces, self.asked, self.moments = pieces, [], []

    def __len__(self):
        return len(self.pieces)

    def __getitem__(self, i):
        if not 0 <= i < len(self.pieces):
            raise IndexError(i)
        self.asked.append(i)
        return self.pieces[i]

    def on_epoch_begin(self):
        self.moments.append("begin")

    def on_epoch_end(self):
        self.moments.append("end")


class Again:
    """An iterable that begins anew."""

    def __init__(self, pieces):
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)


KINDS: dict[str, Callable] = {
    "generator": lambda pieces: (piece for piece in pieces),
    "list iterator": iter,
    "iterable": Again,
    "numbered": Numbered,
    "prefetched": lambda pieces: nnx.utils.Prefetch(Again(pieces), max_queue_size=2),
    "prefetched by number": lambda pieces: nnx.utils.Prefetch(Numbered(pieces), max_queue_size=1),
    "lists": lambda pieces: Again([list(piece) for piece in pieces]),
}


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "nnx prefetch"]


@pytest.mark.parametrize("kind", KINDS)
def test_fit_makes_the_steps_of_train_on_batch(kind, backend):
    pieces = batches(X, Y, W)
    by_hand = model(backend)
    for x, y, w in pieces:
        by_hand.train_on_batch(x, y, w)
    m = model(backend)
    history = m.fit(KINDS[kind](pieces), epochs=1, shuffle=False, verbose=0)
    for a, b in zip(by_hand.get_weights(), m.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert m.optimizer.iterations == 4 and len(history.history["loss"]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate_and_predict_give_what_arrays_give(kind, backend):
    m = model(backend)
    whole = m.evaluate(X, Y, sample_weight=None, verbose=0)
    in_pieces = m.evaluate(KINDS[kind](batches(X, Y)), verbose=0)
    np.testing.assert_allclose(whole, in_pieces, rtol=1e-6)  # sums in another order, in float32
    outputs = m.predict(X)
    for made in (batches(X, Y), batches(X), [(x,) for (x,) in batches(X)]):
        found = m.predict(KINDS[kind](made))
        np.testing.assert_allclose(outputs, found, rtol=1e-6)
        assert type(found) is np.ndarray
    np.testing.assert_allclose(outputs, m.predict(x for (x,) in batches(X)), rtol=1e-6)


def test_predict_answers_in_the_kind_of_array_of_the_first_piece(backend):
    own = backend.asarray(X, dtype="float32")
    found = model().predict(own[i:j, ...] for i, j in itertools.pairwise(SIZES))
    assert type(found) is type(own) and found.shape == (20, 3)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("generator", "list iterator")])
def test_every_epoch_is_a_pass(kind):
    a, b = model(), model()
    a.fit(KINDS[kind](batches(X, Y)), epochs=3, shuffle=False, verbose=0)
    for _ in range(3):
        b.fit(KINDS[kind](batches(X, Y)), epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)


def test_pieces_by_number_come_in_a_new_order_in_each_epoch_and_hear_of_it():
    data = Numbered(batches(X, Y))
    model().fit(data, epochs=8, verbose=0)
    looked, *orders = data.asked[:1], *(data.asked[1 + 4 * k : 5 + 4 * k] for k in range(8))
    assert looked == [0] and all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(map(tuple, orders))) > 1
    assert data.moments == ["begin", "end"] * 8
    again = Numbered(batches(X, Y))
    model().fit(again, epochs=8, verbose=0)
    assert again.asked == data.asked  # the model's seed says the order
    still = Numbered(batches(X, Y))
    model().fit(still, epochs=2, shuffle=False, verbose=0)
    assert still.asked == [0, *range(4), *range(4)]


def test_keras_data_sets_are_taken_as_they_are(keras):
    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return batches(X, Y)[i]

    m = model()
    assert m.fit(Data(workers=2, max_queue_size=3), epochs=2, verbose=0).epoch == [0, 1]
    assert m.optimizer.iterations == 8
    assert m.predict(Data()).shape == (20, 3)


def test_loaders_of_pytorch(backend):
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    x, y = torch.tensor(X), torch.tensor(np.arange(20) % 3)
    pairs = data.TensorDataset(x, y)
    m = nnx.Sequential([Dense(3, "softmax", input_shape=(4,))], backend=backend)
    m.compile("adam", "sparse_categorical_crossentropy")
    m.fit(data.DataLoader(pairs, batch_size=6), epochs=2, verbose=0)
    assert m.optimizer.iterations == 8
    a = m.evaluate(data.DataLoader(pairs, batch_size=6), verbose=0)
    assert a == pytest.approx(m.evaluate(X, np.arange(20) % 3, verbose=0), rel=1e-6)
    found = m.predict(data.DataLoader(pairs, batch_size=6))
    assert type(found) is torch.Tensor and tuple(found.shape) == (20, 3)

    class Endless(data.IterableDataset):
        def __iter__(self):
            return zip(itertools.cycle(x), itertools.cycle(y), strict=True)

    m.fit(data.DataLoader(Endless(), batch_size=5), epochs=2, steps_per_epoch=3, verbose=0)
    assert m.optimizer.iterations == 14
    for samples in (pairs, Endless()):
        with pytest.raises(DtypeError, match=r"samples one by one.*DataLoader\(dataset, batch_size"):
            m.fit(samples, verbose=0)


def test_inputs_in_dicts_and_lists():
    a, b = nnx.Input((4,), name="a"), nnx.Input((3,), name="b")
    m = nnx.Model([a, b], Dense(1)(nnx.layers.Concatenate()([a, b])), seed=0)
    m.compile("sgd", "mse")
    y = X[:, :1]
    whole = m.predict({"a": X, "b": Y})
    for x in ({"a": X, "b": Y}, [X, Y], (X, Y)):
        m.set_weights(m.get_weights())
        assert m.fit(iter([(x, y)]), verbose=0).epoch == [0]
    torch = pytest.importorskip("torch")
    rows = [({"a": torch.tensor(X[i]), "b": torch.tensor(Y[i])}, torch.tensor(y[i])) for i in range(20)]
    m.fit(torch.utils.data.DataLoader(rows, batch_size=7), verbose=0)
    assert m.optimizer.iterations == 6
    found = m.predict(iter([(({"a": X[:9], "b": Y[:9]}),), (({"a": X[9:], "b": Y[9:]}),)]))
    assert found.shape == whole.shape


class Frames:
    """A stand-in for a library of data frames: columns by name, rows by slices, iteration over names."""

    class DataFrame:
        def __init__(self, columns):
            self.columns = columns

        shape = property(lambda self: self.__array__().shape)

        def __len__(self):
            return len(self.__array__())

        def __iter__(self):
            return iter(self.columns)

        def __getitem__(self, key):
            if isinstance(key, str):
                return self.columns[key]
            return type(self)({name: column[key] for name, column in self.columns.items()})

        def __array__(self, dtype=None, copy=None):
            return np.stack(list(self.columns.values()), axis=1)

    Series = staticmethod(np.asarray)


@pytest.mark.parametrize("library", ["a stand-in", "pandas", "polars"])
def test_data_frames(library):
    frames = Frames if library == "a stand-in" else pytest.importorskip(library)
    x = frames.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    y = frames.DataFrame({name: Y[:, i] for i, name in enumerate("abc")})
    a, b = model(), model()
    a.fit(x, y, epochs=2, verbose=0, sample_weight=frames.Series(W))
    b.fit(X, Y, epochs=2, verbose=0, sample_weight=W)
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)
    np.testing.assert_array_equal(a.predict(x), b.predict(X))
    c, d = model(), model()
    c.fit(iter([(x[:12], y[:12]), (x[12:], y[12:])]), verbose=0)
    d.fit(iter([(X[:12], Y[:12]), (X[12:], Y[12:])]), verbose=0)
    np.testing.assert_array_equal(c.weights_vector, d.weights_vector)


# -- how many steps ------------------------------------------------------------------------------------


def test_epochs_of_so_many_steps_go_on_where_the_last_ended_and_begin_anew():
    seen = []

    class Told(Again):
        def __iter__(self):
            for i, piece in enumerate(self.pieces):
                seen.append(i)
                yield piece

    history = model().fit(Told(batches(X, Y)), epochs=3, steps_per_epoch=3, verbose=0)
    assert seen == [0, 1, 2, 3, 0, 1, 2, 3, 0] and len(history.epoch) == 3


def test_an_endless_generator_gives_so_many_and_can_go_on_afterwards():
    endless = itertools.cycle(batches(X, Y))
    counted = iter(itertools.count())
    data = (next(endless) for _ in counted)
    m = model()
    assert m.fit(data, epochs=2, steps_per_epoch=3, verbose=0).params["steps"] == 3
    assert m.optimizer.iterations == 6 and next(counted) == 6
    m.fit(data, steps_per_epoch=2, verbose=0)
    assert m.optimizer.iterations == 8
    assert m.predict(data, steps=3).shape[1] == 3
    assert m.evaluate(data, steps=3, verbose=0)[0] > 0.0
    assert next(counted) == 6 + 1 + 2 + 3 + 3


def test_steps_of_arrays():
    a, b = model(), model()
    assert a.fit(X, Y, batch_size=5, epochs=2, steps_per_epoch=4, verbose=0).epoch == [0, 1]
    b.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)
    np.testing.assert_array_equal(a.predict(X, batch_size=5, steps=2), a.predict(X)[:10])
    assert a.evaluate(X, Y, batch_size=5, steps=2, verbose=0) == pytest.approx(
        a.evaluate(X[:10], Y[:10], verbose=0), rel=1e-6
    )


def test_a_generator_that_ends_early_ends_training_with_what_was_done():
    m = model()
    with pytest.warns(UserWarning, match=r"ran out after 1 of 3 batches of this epoch: training ends"):
        history = m.fit(iter(batches(X, Y)), epochs=5, steps_per_epoch=3, verbose=0)
    assert m.optimizer.iterations == 4
    assert len(history.history["loss"]) == 2 and history.reason == "The data ran out."
    with pytest.warns(UserWarning, match=r"ran out after 0 of 2 batches"):
        history = m.fit(iter(batches(X, Y)), epochs=5, steps_per_epoch=2, verbose=0)
    assert m.optimizer.iterations == 8 and len(history.history["loss"]) == 2
    with pytest.warns(UserWarning, match=r"after 4 of 9 batches .*the prediction is of these alone"):
        assert m.predict(iter(batches(X)), steps=9).shape == (20, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.fit(iter(batches(X, Y)), epochs=2, steps_per_epoch=2, verbose=0)


def test_an_iterable_that_cannot_begin_anew_ends_training():
    class Once(Again):
        def __iter__(self):
            while self.pieces:
                yield self.pieces.pop(0)

    with pytest.warns(UserWarning, match="ran out after 0 batches"):
        assert model().fit(Once(batches(X, Y)), epochs=3, verbose=0).epoch == [0]


def test_validation_in_pieces():
    pieces = batches(X, Y)
    arrays = model().fit(Again(pieces), validation_data=(X, Y), epochs=3, verbose=0).history
    for data in (Again(pieces), Numbered(pieces), nnx.utils.Prefetch(Numbered(pieces))):
        found = model().fit(Again(pieces), validation_data=data, epochs=3, verbose=0).history
        np.testing.assert_allclose(found["val_loss"], arrays["val_loss"], rtol=1e-6)
        found = model().fit(X, Y, validation_data=data, validation_steps=2, epochs=3, verbose=0).history
        first = model().fit(X, Y, validation_data=(X[:10], Y[:10]), epochs=3, verbose=0).history
        np.testing.assert_allclose(found["val_loss"], first["val_loss"], rtol=1e-6)
    found = model().fit(X, Y, validation_data=iter(pieces), validation_steps=2, epochs=2, verbose=0)
    assert len(found.history["val_loss"]) == 2  # each takes two more of a generator
    with pytest.raises(
        OptionError, match=r"validation x is a list_iterator.*once, but 2 epochs.*validation_s"
    ):
        model().fit(X, Y, validation_data=iter(pieces), epochs=2, verbose=0)
    assert model().fit(X, Y, validation_data=iter(pieces), epochs=1, verbose=0).history["val_loss"]


def test_class_weights_are_those_of_arrays():
    weights = {0: 0.5, 1: 2.0, 2: 1.0}
    a, b = model(), model()
    a.fit(iter(batches(X, Y, W)), class_weight=weights, verbose=0)
    for x, y, w in batches(X, Y, W):
        b.train_on_batch(x, y, w, class_weight=weights)
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)


def test_a_model_of_unknown_shape_is_built_by_the_first_piece():
    m = nnx.Sequential([Dense(2), Dense(3, "softmax")])
    m.compile("sgd", "categorical_crossentropy")
    assert m.fit(iter(batches(X, Y)), verbose=0).epoch == [0] and m.input_shape == (None, 4)


def test_other_types_are_converted():
    m = model()
    mixed = [(X[:5].astype("float64"), Y[:5].astype(int)), ((X[5:9] * 8).astype("int8"), Y[5:9] > 0)]
    m.fit(iter(mixed), verbose=0)
    assert m.weights_vector.dtype == "float32" and np.isfinite(m.weights_vector).all()


def test_training_goes_on_within_an_epoch(tmp_path):
    def killed(batch, logs):
        if batch == 2:
            raise RuntimeError("killed")

    def fit(m, *more):
        backup = nnx.callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
        return m.fit(Numbered(batches(X, Y)), epochs=2, callbacks=[backup, *more], verbose=0)

    whole, stopped = model(), model()
    fit(whole)
    with pytest.raises(RuntimeError, match="killed"):
        fit(stopped, nnx.callbacks.LambdaCallback(on_train_batch_begin=killed))
    fit(stopped)
    np.testing.assert_array_equal(whole.weights_vector, stopped.weights_vector)


# -- what goes wrong -----------------------------------------------------------------------------------

REFUSED = [
    (lambda m, d: m.fit(d, Y), OptionError, "y goes with arrays.*itself gives the targets"),
    (lambda m, d: m.fit(d, batch_size=3), OptionError, "batch_size goes with arrays.*sizes of its batches"),
    (lambda m, d: m.fit(d, sample_weight=W), OptionError, "sample_weight goes with arrays"),
    (lambda m, d: m.fit(d, validation_split=0.5), OptionError, "validation_split goes with arrays"),
    (lambda m, d: m.predict(d, batch_size=3), OptionError, "predict: batch_size goes with arrays"),
    (lambda m, d: m.evaluate(d, Y), OptionError, "evaluate: y goes with arrays"),
    (lambda m, d: m.fit(d, epochs=2), OptionError, "once, but 2 epochs need it: say steps_per_epoch="),
    (lambda m, d: m.fit(d, steps_per_epoch=0), OptionError, "steps_per_epoch.*>= 1, got 0"),
    (lambda m, d: m.fit(itertools.cycle([(X, Y)])), OptionError, "never ends: say steps_per_epoch="),
    (lambda m, d: m.predict(itertools.cycle([(X, Y)])), OptionError, "never ends: say steps="),
    (lambda m, d: m.fit(iter([])), DataError, "list_iterator that gives no batch.*make a new one"),
    (lambda m, d: m.fit(Numbered([])), DataError, "Numbered that gives no batch"),
    (lambda m, d: m.fit(Again([])), DataError, "Again that gives no batch"),
    (lambda m, d: m.fit(iter([(X[:0], Y[:0])])), DataError, "x is empty"),
    (lambda m, d: m.fit(iter([(X, Y, W, W)])), DataError, "a tuple of 4 things"),
    (lambda m, d: m.fit(iter([()])), DataError, "a tuple of 0 things"),
    (lambda m, d: m.fit(iter([X])), DataError, "y is missing"),
    (lambda m, d: m.fit(iter([("a", Y)])), DtypeError, "x"),
    (lambda m, d: m.fit(iter([(X[:, :3], Y)])), ShapeError, r"samples of shape \(4,\)"),
    (lambda m, d: m.fit(iter([(X, Y[:3])])), ShapeError, "x has 20 samples, y has 3"),
    (lambda m, d: m.fit(X, Y, validation_data=iter([X])), DataError, "validation y is missing"),
    (lambda m, d: m.fit(X, Y, validation_data=iter([(X, 7 * Y)])), DataError, "validation y from 0 to 7"),
    (lambda m, d: m.predict(range(3)), ShapeError, "x.*single number"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_is_refused_before_training(call, error, words):
    m = model()
    before = m.weights_vector.copy()
    with pytest.raises(error, match=words):
        call(m, iter(batches(X, Y)))
    np.testing.assert_array_equal(m.weights_vector, before)


@pytest.mark.parametrize("optimizer", ["bfgs", "levenberg_marquardt", "rprop"])
def test_methods_on_all_samples_ask_for_arrays(optimizer):
    m = nnx.Sequential([Dense(3, input_shape=(4,))])
    m.compile(optimizer, "mse")
    with pytest.raises(OptionError, match=r"all samples in one batch; data in pieces.*Give arrays"):
        m.fit(Again([(X, Y)]), verbose=0)


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ((X[:4, :3], Y[:4]), ShapeError, r"samples of shape \(4,\)"),
        ((X[:4], Y[:4, :2]), ShapeError, "got y of shape"),
        ((X[:4], Y[:3]), ShapeError, "x has 4 samples"),
        ((np.full((4, 4), np.nan), Y[:4]), DataError, "x has NaN"),
        (ZeroDivisionError("mine"), ZeroDivisionError, "mine"),
    ],
    ids=["x", "y", "lengths", "nan", "raises"],
)
def test_an_error_on_the_way_leaves_the_model_as_after_the_last_whole_step(bad, error, words, prefetch):
    def data():
        yield from batches(X, Y)[:2]
        if isinstance(bad, Exception):
            raise bad
        yield bad

    done, m = model(), model()
    done.fit(iter(batches(X, Y)[:2]), verbose=0)
    given = nnx.utils.Prefetch(data()) if prefetch else data()
    with pytest.raises(error, match=words) as found:
        m.fit(given, verbose=0)
    np.testing.assert_array_equal(m.weights_vector, done.weights_vector)
    assert found.value.__notes__[-1] == "  in batch 3, epoch 1"
    if isinstance(bad, Exception):
        assert found.value is bad
        assert found.traceback[-1].name == "data"  # where it was raised, in a thread too


# -- loading ahead ---------------------------------------------------------------------------------------


def test_prefetching_runs_ahead_but_not_further_than_it_may():
    made = []

    def data():
        for i in range(50):
            made.append(i)
            yield i

    ahead = iter(nnx.utils.Prefetch(data(), max_queue_size=3))
    assert next(ahead) == 0
    deadline = threading.Event()
    while len(made) < 5 and not deadline.wait(0.01):
        pass
    deadline.wait(0.05)
    assert made == [0, 1, 2, 3, 4]  # one in use, three waiting, one in the thread's hand
    ahead.close()
    assert list(nnx.utils.Prefetch(range(7))) == list(range(7))
    assert len(nnx.utils.Prefetch([1, 2])) == 2


def test_the_thread_ends_where_training_stops_early():
    class Stop(nnx.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    class Press(nnx.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    endless = nnx.utils.Prefetch(itertools.cycle(batches(X, Y)), max_queue_size=2)
    m = model()
    m.fit(endless, epochs=3, steps_per_epoch=2, callbacks=[Stop()], verbose=0)
    assert m.optimizer.iterations == 1
    with pytest.raises(KeyboardInterrupt):
        m.fit(endless, epochs=3, steps_per_epoch=2, callbacks=[Press()], verbose=0)
    with pytest.raises(KeyboardInterrupt):
        m.predict(
            nnx.utils.Prefetch(Again(batches(X) * 20), max_queue_size=1),
            callbacks=[nnx.callbacks.LambdaCallback(on_predict_batch_end=Press().on_train_batch_end)],
        )


def test_the_callers_backend_holds_in_the_thread():
    def data():
        yield nnx.backend.get_backend().name

    with nnx.use_backend("array_api_strict"):
        assert list(nnx.utils.Prefetch(data())) == ["array_api_strict"]


def test_options_of_prefetching_and_of_data_sets():
    with pytest.raises(OptionError, match="max_queue_size"):
        nnx.utils.Prefetch([], max_queue_size=0)
    for data in (3, nnx.utils.Prefetch([])):
        with pytest.raises(OptionError, match="data that come in pieces, got a"):
            nnx.utils.Prefetch(data)
    with pytest.raises(OptionError, match=r"no processes.*workers=2"):
        nnx.utils.PyDataset(use_multiprocessing=True)
    with pytest.raises(NotImplementedError, match="__len__"):
        len(nnx.utils.PyDataset())


def test_the_bar_goes_without_a_total(capsys, monkeypatch):
    monkeypatch.setattr("nnx.callbacks.progress.can_be_redrawn", lambda: True)
    monkeypatch.setattr("nnx.callbacks.progress.REFRESH", 0.0)
    model().fit((piece for piece in batches(X, Y)), verbose=1)
    out = capsys.readouterr().out
    assert "4/? [" in out and "Epoch 1/1" in out


# -- several outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_dict", [False, True])
def test_targets_and_weights_of_several_outputs_come_in_pieces(as_dict):
    def made():
        x = nnx.Input((4,))
        h = Dense(5, "tanh")(x)
        outputs = {"size": Dense(1)(h), "kind": Dense(3, "softmax")(h)}
        m = nnx.Model(x, outputs if as_dict else list(outputs.values()), seed=3)
        m.compile(
            "sgd",
            ["mse", "categorical_crossentropy"]
            if not as_dict
            else {"size": "mse", "kind": "categorical_crossentropy"},
        )
        return m

    def together(a, b):
        return {"size": a, "kind": b} if as_dict else [a, b]

    size = X[:, :1]
    pieces = [
        (X[i:j], together(size[i:j], Y[i:j]), together(W[i:j], W[i:j])) for i, j in itertools.pairwise(SIZES)
    ]
    a, b = made(), made()
    a.fit(iter(pieces), verbose=0)
    for piece in pieces:
        b.train_on_batch(*piece)
    np.testing.assert_array_equal(a.weights_vector, b.weights_vector)
    found, whole = a.predict(iter(pieces)), a.predict(X)
    for key in ("size", "kind") if as_dict else (0, 1):
        np.testing.assert_allclose(found[key], whole[key], rtol=1e-6)
    np.testing.assert_allclose(
        a.evaluate(iter(pieces), verbose=0),
        a.evaluate(X, together(size, Y), sample_weight=together(W, W), verbose=0),
        rtol=1e-6,
    )
