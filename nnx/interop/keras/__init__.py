"""Keras' files: read and written without Keras, by h5py, which is imported when it is needed.

``files`` the three kinds of files; ``archive`` and ``hdf5`` their bytes, read with care; ``graphs`` and
``calls`` models out of ``config.json``, ``models`` the way back; ``objects`` initializers, losses, layers,
...; ``paths``, ``weights`` and ``legacy`` where weights lie; ``training`` compile and the optimizer's state.
"""
