module felhom.eu/bench

go 1.26.8

require (
	felhom.eu v0.0.0
	github.com/mattn/go-sqlite3 v1.14.53
	github.com/valyala/fasthttp v1.77.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
)

replace felhom.eu => ../
