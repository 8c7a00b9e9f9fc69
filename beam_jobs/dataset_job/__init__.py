"""Raw annotations -> data set; a data set -> relabelled data set."""
