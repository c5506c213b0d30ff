// Package scenario makes a fixed sequence of calls to a hub of Koji's and keeps the
// answers, so that those of a real hub can be compared with those of a fake one.
//
// What differs from one run to the next is replaced: ids by their kind and the order
// in which they appear, times, checksums, keys, and the names that a run gives to
// what it makes, which begin with a prefix of its own.
package scenario
