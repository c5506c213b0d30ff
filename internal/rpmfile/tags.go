package rpmfile

// A Tag numbers an entry of an RPM header. The numbers are those of rpm's
// rpmtag.h; signature headers have their own numbers (SigTag...).
type Tag uint32

// Tags of the main header.
const (
	TagHeaderImmutable   Tag = 63
	TagName              Tag = 1000
	TagVersion           Tag = 1001
	TagRelease           Tag = 1002
	TagEpoch             Tag = 1003
	TagSummary           Tag = 1004
	TagDescription       Tag = 1005
	TagBuildTime         Tag = 1006
	TagBuildHost         Tag = 1007
	TagSize              Tag = 1009
	TagVendor            Tag = 1011
	TagLicense           Tag = 1014
	TagPackager          Tag = 1015
	TagGroup             Tag = 1016
	TagURL               Tag = 1020
	TagArch              Tag = 1022
	TagOldFilenames      Tag = 1027
	TagFileModes         Tag = 1030
	TagFileDigests       Tag = 1035
	TagFileFlags         Tag = 1037
	TagFileUserName      Tag = 1039
	TagFileGroupName     Tag = 1040
	TagSourceRPM         Tag = 1044
	TagArchiveSize       Tag = 1046
	TagProvideName       Tag = 1047
	TagRequireFlags      Tag = 1048
	TagRequireName       Tag = 1049
	TagRequireVersion    Tag = 1050
	TagNoSource          Tag = 1051
	TagNoPatch           Tag = 1052
	TagConflictFlags     Tag = 1053
	TagConflictName      Tag = 1054
	TagConflictVersion   Tag = 1055
	TagExcludeArch       Tag = 1059
	TagExclusiveArch     Tag = 1061
	TagChangelogTime     Tag = 1080
	TagChangelogName     Tag = 1081
	TagChangelogText     Tag = 1082
	TagObsoleteName      Tag = 1090
	TagSourcePackage     Tag = 1106
	TagProvideFlags      Tag = 1112
	TagProvideVersion    Tag = 1113
	TagObsoleteFlags     Tag = 1114
	TagObsoleteVersion   Tag = 1115
	TagDirIndexes        Tag = 1116
	TagBaseNames         Tag = 1117
	TagDirNames          Tag = 1118
	TagOldSuggestsName   Tag = 1156
	TagOldSuggestsVer    Tag = 1157
	TagOldSuggestsFlags  Tag = 1158
	TagOldEnhancesName   Tag = 1159
	TagOldEnhancesVer    Tag = 1160
	TagOldEnhancesFlags  Tag = 1161
	TagLongSize          Tag = 5009
	TagFileDigestAlgo    Tag = 5011
	TagRecommendName     Tag = 5046
	TagRecommendVersion  Tag = 5047
	TagRecommendFlags    Tag = 5048
	TagSuggestName       Tag = 5049
	TagSuggestVersion    Tag = 5050
	TagSuggestFlags      Tag = 5051
	TagSupplementName    Tag = 5052
	TagSupplementVersion Tag = 5053
	TagSupplementFlags   Tag = 5054
	TagEnhanceName       Tag = 5055
	TagEnhanceVersion    Tag = 5056
	TagEnhanceFlags      Tag = 5057
	TagPayloadDigest     Tag = 5092
	TagPayloadDigestAlgo Tag = 5093
	TagModularityLabel   Tag = 5096
	TagPayloadSize       Tag = 5112 // of the compressed payload, rpm 6
	TagPayloadSizeAlt    Tag = 5113 // of the uncompressed payload, rpm 6
	TagPayloadSHA512     Tag = 5121
	TagPayloadSHA3       Tag = 5123 // SHA3-256
)

// Tags of the signature header.
const (
	SigTagHeaderSignatures Tag = 62
	SigTagSHA1             Tag = 269 // of the main header, hex
	SigTagLongSize         Tag = 270
	SigTagLongArchiveSize  Tag = 271
	SigTagSHA256           Tag = 273 // of the main header, hex
	SigTagSHA3             Tag = 279 // SHA3-256 of the main header, hex
	SigTagSize             Tag = 1000
	SigTagMD5              Tag = 1004 // of main header and payload, binary
	SigTagPayloadSize      Tag = 1007 // of the uncompressed payload
)
