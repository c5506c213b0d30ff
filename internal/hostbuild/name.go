package hostbuild

// Name is what the Builder of this host calls itself when it builds for arch.
func Name(arch string) string { return "host:" + distribution() + "-" + arch }
