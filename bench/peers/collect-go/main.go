// What one would write in Go in an afternoon: net/http, encoding/json and franz-go; 200 after the brokers' acknowledgement.
//
// It is what `sessionizer collect` is measured beside. It has no write keys, limits, deadlines or CORS, gives no
// reasons, and sends a request as one record under the device of its first event.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const maxBody = 1 << 20

type event struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	DeviceID  string          `json:"device_id"`
	Timestamp int64           `json:"timestamp"`
	UserID    *string         `json:"user_id"`
	SessionID *string         `json:"session_id"`
	ViewID    *string         `json:"view_id"`
	Data      json.RawMessage `json:"data"`
}

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(os.Getenv("BOOTSTRAP_SERVERS")),
		kgo.DefaultProduceTopic(os.Getenv("TOPIC")),
		kgo.ProducerLinger(2*time.Millisecond),
		kgo.ProducerBatchCompression(codec(os.Getenv("COMPRESSION"))),
	)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/v1/events", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		var events []event
		if err != nil || json.Unmarshal(body, &events) != nil || len(events) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		record := &kgo.Record{Key: []byte(events[0].DeviceID), Value: body}
		if client.ProduceSync(r.Context(), record).FirstErr() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"accepted":` + strconv.Itoa(len(events)) + `,"refused":[]}`))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func codec(name string) kgo.CompressionCodec {
	if name == "zstd" {
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}
