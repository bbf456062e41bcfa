"""What the workshop needs beside linters and test runners; no part of the wheel."""
