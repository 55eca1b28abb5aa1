"""Where a camera stands: rotation, position and focal length from points that it sees (bundle adjustment).

Source: B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, "Bundle adjustment: a modern synthesis", Vision
Algorithms, LNCS 1883 (2000) 298–372; the rotation is Rodrigues'.
"""

import numpy as np

CANNOT = {"autograd"}  # its gradient of a cross product does not add up along axes that were broadcast


def rotated(vector, points):
    angle = np.linalg.norm(vector)
    axis = vector / angle
    along = np.outer(points @ axis, axis)
    return along + np.cos(angle) * (points - along) + np.sin(angle) * np.cross(axis, points)


def reprojection_error(camera, points, seen):
    """Huber's cost; ``camera``: rotation vector, translation, focal length, radial distortion."""
    rotation, translation, focal, distortion = np.split(camera, [3, 6, 7])
    p = rotated(rotation, points) + translation
    plane = -p[:, :2] / p[:, 2:]
    r2 = (plane**2).sum(axis=1, keepdims=True)
    residual = focal * (1.0 + distortion * r2) * plane - seen
    size = np.abs(residual)
    return np.where(size < 0.05, 0.5 * residual**2, 0.05 * (size - 0.025)).sum()


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(23)
    points = random.uniform(-1.0, 1.0, (9, 3)) - np.array([0.0, 0.0, 5.0])
    seen = 1.2 * points[:, :2] / -points[:, 2:] + 0.05 * random.normal(size=(9, 2))
    return reprojection_error, (np.array([0.1, -0.05, 0.08, 0.1, 0.05, -0.2, 1.1, 0.05]), points), (seen,)
