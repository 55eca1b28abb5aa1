"""An example of every layer of sequences, with the shapes of samples that it takes."""

from nnx.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    GRUCell,
    LSTMCell,
    Masking,
    RepeatVector,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
)

SEQUENCES = {
    "bidirectional": (Bidirectional(LSTM(2, return_sequences=True, return_state=True)), ((3, 2),)),
    "embedding": (Embedding(4, 3, mask_zero=True), (3,)),
    "gru": (GRU(2, return_sequences=True), ((3, 2),)),
    "grucell": (GRUCell(2, dropout=0.3, recurrent_dropout=0.3), ((3,), (2,))),
    "lstm": (LSTM(2), ((3, 2),)),
    "lstmcell": (LSTMCell(2, "relu"), ((3,), (2,), (2,))),
    "masking": (Masking(), (2, 3)),
    "repeat_vector": (RepeatVector(3), (2,)),
    "rnn": (RNN([GRUCell(2), LSTMCell(1)], return_state=True, go_backwards=True), ((3, 2),)),
    "simple_rnn": (SimpleRNN(3, dropout=0.3, recurrent_dropout=0.3), ((3, 2), (3,))),
    "simple_rnncell": (SimpleRNNCell(2), ((3,), (2,))),
    "stacked_rnncells": (StackedRNNCells([SimpleRNNCell(2), LSTMCell(1)]), ((3,), (2,), (1,), (1,))),
    "time_distributed": (TimeDistributed(Dense(2, "tanh")), (3, 2)),
}

#: further ones of the same classes
MORE = [
    (LSTM(2, stateful=True, batch_size=6), ((3, 2),)),
    (GRU(2, reset_after=False, return_state=True), ((3, 2),)),
    (LSTM(2, unit_forget_bias=False, go_backwards=True), ((3, 2), (2,), (2,))),
    (Bidirectional(GRU(2), merge_mode=None), ((3, 2), (2,), (2,))),
    (Bidirectional(SimpleRNN(2, stateful=True, batch_size=6), merge_mode="mul"), ((3, 2),)),
    (TimeDistributed(BatchNormalization()), (3, 2)),
    (TimeDistributed(Dropout(0.5)), (3, 2)),
]
