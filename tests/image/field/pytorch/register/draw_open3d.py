"""open3d: sampled points, RANSAC."""

import open3d

sphere = open3d.geometry.TriangleMesh.create_sphere()
print(open3d.utility.Vector3dVector(sphere.sample_points_uniformly(3).points)[0].tolist())
