//! Lets calls of the program fail, or kills it before one.
