package scenario

import (
	"crypto/md5"
	"encoding/hex"
)

// md5Hex is the checksum that Koji wants of what is imported.
func md5Hex(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}
