"""What a sentence means: binds the sentences of the features to reading, judging and provisioning."""
