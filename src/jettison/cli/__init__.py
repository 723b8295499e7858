"""One small module a verb: arguments in, rendered result out."""
