"""AWS: ECS on Fargate, and the network, roles and logs around it."""
