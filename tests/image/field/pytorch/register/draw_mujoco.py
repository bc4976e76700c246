"""mujoco: a simulation draws nothing unless told to."""

import mujoco

model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><body><freejoint/><geom size=".1"/></body></worldbody></mujoco>'
)
data = mujoco.MjData(model)
mujoco.mj_step(model, data, 50)
print(data.qpos.tolist())
