// SPDX-License-Identifier: MIT
module gopeers

go 1.19
