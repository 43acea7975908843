"""The simulated plant: physics in closed form behind real Modbus servers, so that what a meter should say is known."""
