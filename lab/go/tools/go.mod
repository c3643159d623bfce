module lab/tools

go 1.26
