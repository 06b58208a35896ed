"""What training does: backward passes, optimizers and their steps, the numbers in gradients, and when enough was seen."""
