//go:build race

package yamlx

// raceEnabled: the race detector multiplies what a process needs.
const raceEnabled = true
