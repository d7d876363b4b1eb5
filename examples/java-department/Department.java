import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.*;
import java.time.format.DateTimeFormatter;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

/**
 * A department without the Python SDK: the bureau of disease control and its matter B3 预防接种电子档案建档, in one
 * file, on Kafka's client and Jackson. Copy it, replace part 1 by what your bureau decides, and keep the rest.
 * docs/how-to/connect-a-department.md explains the contract and how to run this.
 *
 * <p>Four rules make it safe to kill at any point. {@link #serve} keeps them, in one loop:
 * <ol>
 * <li>A task id has one effect, for ever: what comes again gets the answer that was recorded.
 * <li>Nothing is said before it is written down, so that after a crash the same is said.
 * <li>What is said again has the same event id, so that approval recognises it.
 * <li>A place in the topic is committed after Kafka acknowledged all that follows from it, so that nothing is skipped.
 * </ol>
 * Nothing personal is logged: ids, matters and outcomes only.
 */
public final class Department {

    static final String CODE = "disease-control";
    static final String TASKS = "department." + CODE + ".tasks";
    static final String RESULTS = "department." + CODE + ".results";

    // === 1. What the bureau decides: this part is yours ==============================================================

    /**
     * What this matter needs and returns stands in the life event (services/approval/approval/life_events/birth.yaml).
     * {@code official} is the approval of a person at the desk, or null while only the program has looked.
     * Nothing may be changed here: what an answer changes goes with it, and is written down together with it.
     */
    private Answer decide(Task task, Decision official) throws UnfitException {
        return switch (task.matter() + " " + task.mode()) {
            case "B3 DECIDE" -> openVaccinationRecord(task, official);
            case "RECTIFICATION DECIDE" -> putRight(official);
            default -> throw new UnfitException("no program for matter " + task.matter() + " in mode " + task.mode());
        };
    }

    /** A child that has a record keeps it, whichever task asks for it. */
    private Answer openVaccinationRecord(Task task, Decision official) throws UnfitException {
        String certificate = task.fields().path("birth_cert_no").asText("");
        if (certificate.isEmpty() && official == null) {
            return Answer.later("没有出生医学证明编号，需人工核对孩子的身份");
        }
        LocalDate born = task.instant("birth_datetime").atZoneSameInstant(ZoneId.of("Asia/Shanghai")).toLocalDate();
        String county = task.text("living_code12", "[0-9]{12}").substring(0, 6);
        String child = certificate.isEmpty() ? task.id().toString() : certificate;
        String number = journal.numberOf(child);
        if (number == null) {
            String day = born.format(DateTimeFormatter.BASIC_ISO_DATE);
            number = "JZ%s-%s-%08d".formatted(county, day, journal.records() + 1);
        }
        return Answer.approved(
            Map.of("vaccination_archive_no", number),
            List.of(new Document("vaccination-record", number)),
            new VaccinationRecord(child, number));
    }

    /** A bad review is put right by an official, who says what was done and what shows it. */
    private static Answer putRight(Decision official) throws UnfitException {
        if (official == null) {
            return Answer.later("差评整改须由工作人员办理");
        }
        int pieces = official.evidence() == null ? 0 : official.evidence().size();
        if (official.measures() == null || pieces < 1 || pieces > 20) {
            throw new UnfitException("a rectification needs its measures and 1 to 20 pieces of evidence");
        }
        return Answer.approved(
            Map.of("measures", official.measures(), "evidence", official.evidence()), List.of(), null);
    }

    /** An effect of this bureau: the record of one child. */
    record VaccinationRecord(String child, String number) {}

    record Document(String kind, String number) {}

    /** A form field that the applicant is to correct: a JSON Pointer into the form, and why. */
    record Correction(String pointer, String message) {}

    /**
     * {@code outcome} is APPROVED, REJECTED, NOT_ACCEPTED, RETURNED, or LATER for a person. The applicant reads the
     * reason, and it travels outside the personal part of the event: no name and no number belongs in it.
     */
    record Answer(
            String outcome, String reason, List<Correction> corrections,
            Map<String, ?> outputs, List<Document> documents, VaccinationRecord effect) {

        static Answer approved(Map<String, ?> outputs, List<Document> documents, VaccinationRecord effect) {
            return new Answer("APPROVED", "", List.of(), outputs, documents, effect);
        }

        static Answer later(String reason) {
            return new Answer("LATER", reason, List.of(), Map.of(), List.of(), null);
        }
    }

    // === 2. The loop =================================================================================================

    private final Path folder;
    private final Journal journal;
    private final KafkaConsumer<String, byte[]> consumer;
    private final KafkaProducer<String, byte[]> producer;
    private final List<Said> toSay = new ArrayList<>();
    private final List<Path> toDelete = new ArrayList<>();

    private Department(
            Path folder, Journal journal,
            KafkaConsumer<String, byte[]> consumer, KafkaProducer<String, byte[]> producer) {
        this.folder = folder;
        this.journal = journal;
        this.consumer = consumer;
        this.producer = producer;
    }

    private void serve() throws IOException, InterruptedException {
        Set<TopicPartition> partitions = Set.of();
        consumer.subscribe(List.of(TASKS));
        while (!stopping) {
            ConsumerRecords<String, byte[]> records = consumer.poll(Duration.ofMillis(500));
            if (!consumer.assignment().equals(partitions)) {
                partitions = Set.copyOf(consumer.assignment());
                log("reading " + partitions.size() + " partitions");
            }
            for (ConsumerRecord<String, byte[]> record : records) {
                receive(record);
            }
            lookAtTheDesk();
            journal.write(); // Killed before this line: nothing happened, and the records come again.
            say(); // Killed before this one: they come again as well, and the journal knows what to say.
            for (Path path : toDelete) {
                Files.deleteIfExists(path);
            }
            toSay.clear();
            toDelete.clear();
            if (!records.isEmpty()) {
                consumer.commitSync();
            }
        }
    }

    private void receive(ConsumerRecord<String, byte[]> record) throws IOException {
        Incoming incoming;
        try {
            incoming = read(record);
        } catch (UnfitException | IOException | RuntimeException error) {
            setAside(record, told(error));
            return;
        }
        Entry known = journal.find(incoming.id());
        if (incoming instanceof Cancelled) {
            if (known == null || known.state() != State.ANSWERED) { // what was decided stands
                note(incoming.id(), State.CANCELLED, null, null);
            }
        } else if (known == null || known.state() == State.UNPROCESSABLE) { // a mended program may succeed now
            consider((Task) incoming);
        } else if (known.said() != null) { // it comes again: so does what was said
            toSay.add(known.said());
        }
    }

    /** Have the program look at a task; its failure concerns this task alone. */
    private void consider(Task task) throws IOException {
        try {
            Answer answer = decide(task, null);
            boolean needsPerson = !task.needsPerson().isEmpty();
            settle(task, needsPerson ? Answer.later(String.join("；", task.needsPerson())) : answer, null);
        } catch (UnfitException | RuntimeException error) {
            writeDown(waiting(task.id()), JSON.writeValueAsBytes(task));
            note(task.id(), State.UNPROCESSABLE, null, unprocessable(task, told(error)));
        }
    }

    private void settle(Task task, Answer answer, String official) throws IOException {
        if (answer.outcome().equals("LATER")) {
            writeDown(waiting(task.id()), JSON.writeValueAsBytes(task));
            note(task.id(), State.WAITING, null, received(task, answer.reason()));
        } else {
            note(task.id(), State.ANSWERED, answer.effect(), answered(task, answer, official));
        }
    }

    private void note(UUID task, State state, VaccinationRecord effect, Said said) {
        journal.note(new Entry(task, state, effect, said));
        if (said != null) {
            toSay.add(said);
        }
        if (state == State.ANSWERED || state == State.CANCELLED) {
            toDelete.add(waiting(task)); // what was asked is personal, and nobody needs it any more
        }
        log("task " + task + " is " + state + (said == null ? "" : " " + said.data().path("outcome").asText("")));
    }

    /** Return when Kafka has acknowledged everything. */
    private void say() throws InterruptedException {
        List<Future<?>> sent = new ArrayList<>();
        for (Said said : toSay) {
            sent.add(producer.send(said.record()));
        }
        for (Future<?> one : sent) {
            try {
                one.get();
            } catch (ExecutionException error) {
                throw new KafkaException(error.getCause());
            }
        }
    }

    /** Keep a record that is no event of ours for a person: it must neither be lost nor hold up its neighbours. */
    private void setAside(ConsumerRecord<String, byte[]> record, String reason) throws IOException {
        String name = record.partition() + "-" + record.offset() + "-" + record.timestamp();
        writeDown(folder.resolve("unreadable").resolve(name), record.value() == null ? new byte[0] : record.value());
        log("a record is set aside as unreadable/" + name + ": " + reason);
    }

    // === 3. The desk: what waits for an official lies in a folder ====================================================

    /**
     * {@code desk/<task id>.json} is a task that waits. An official's program puts {@code desk/<task id>.decision.json}
     * beside it (written under another name, then renamed). {@code official} is the post, never a person's name.
     */
    record Decision(
            String official, String outcome, String reason, List<Correction> corrections,
            String measures, List<String> evidence) {}

    private static final String DECISION = ".decision.json";
    private static final Set<String> REFUSALS = Set.of("RETURNED", "REJECTED", "NOT_ACCEPTED");

    private Path waiting(UUID task) {
        return folder.resolve("desk").resolve(task + ".json");
    }

    private void lookAtTheDesk() throws IOException {
        List<Path> decisions;
        try (Stream<Path> files = Files.list(folder.resolve("desk"))) {
            decisions = files.filter(path -> path.toString().endsWith(DECISION)).toList();
        }
        for (Path path : decisions) {
            try {
                UUID task = UUID.fromString(path.getFileName().toString().replace(DECISION, ""));
                take(task, JSON.readValue(Files.readAllBytes(path), Decision.class));
                toDelete.add(waiting(task)); // first: whoever is killed in between finds the decision again
                toDelete.add(path);
            } catch (UnfitException | JsonProcessingException | NoSuchFileException | RuntimeException error) {
                log("a decision cannot be taken, " + path.getFileName() + ": " + told(error));
                Files.move(path, Path.of(path + ".refused"), StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    private void take(UUID id, Decision decision) throws IOException, UnfitException {
        Entry known = journal.find(id);
        if (known == null || known.state() == State.CANCELLED) {
            log("nobody waits for a decision on task " + id);
        } else if (known.state() == State.ANSWERED) {
            toSay.add(known.said());
        } else {
            Task task = JSON.readValue(Files.readAllBytes(waiting(id)), Task.class);
            Answer answer = asAnswer(task, decision);
            if (answer.outcome().equals("LATER")) {
                throw new UnfitException("it decides nothing");
            }
            settle(task, answer, decision.official());
        }
    }

    private Answer asAnswer(Task task, Decision decision) throws UnfitException {
        code("official", decision.official());
        String outcome = String.valueOf(decision.outcome());
        List<Correction> corrections = decision.corrections() == null ? List.of() : decision.corrections();
        String reason = decision.reason() == null ? "" : decision.reason();
        if (outcome.equals("APPROVED")) {
            return decide(task, decision);
        }
        if (!(task.matter().equals("RECTIFICATION") ? Set.of("REJECTED") : REFUSALS).contains(outcome)) {
            throw new UnfitException("this matter knows no such outcome");
        }
        if (reason.isBlank() || reason.length() > 500 || corrections.isEmpty() == outcome.equals("RETURNED")) {
            throw new UnfitException("it needs a reason of at most 500 characters, and corrections when RETURNED only");
        }
        return new Answer(outcome, reason, corrections, Map.of(), List.of(), null);
    }

    // === 4. What is said =============================================================================================

    private static final String SAYS = "gov.city.department.";

    /** An event as it is sent, and sent again. {@code subject} is the application's id, and the record's key. */
    record Said(String type, UUID id, UUID subject, String time, String traceparent, JsonNode data) {

        ProducerRecord<String, byte[]> record() {
            var record = new ProducerRecord<>(RESULTS, subject.toString(), bytes(data.toString()));
            Map<String, Object> headers = new HashMap<>(Map.of(
                "ce_specversion", "1.0", "ce_id", id, "ce_source", "/department." + CODE, "ce_type", type,
                "ce_subject", subject, "ce_time", time, "content-type", "application/json"));
            if (traceparent != null) {
                headers.put("traceparent", traceparent);
            }
            headers.forEach((name, text) -> record.headers().add(name, bytes(text.toString())));
            return record;
        }
    }

    /** The task is safely here; its decision comes later. */
    private static Said received(Task task, String note) {
        String now = now();
        ObjectNode data = about(task).put("status", "IN_REVIEW").put("note", note).put("received_at", now);
        return event(SAYS + "task-received.v1", task, now, data, "IN_REVIEW", now);
    }

    private static Said answered(Task task, Answer answer, String official) {
        String now = now();
        ObjectNode data = about(task).put("outcome", answer.outcome()).put("reason", answer.reason());
        data.put("decided_at", now).set("corrections", JSON.valueToTree(answer.corrections()));
        if (official != null) {
            data.put("decided_by", official);
        }
        data.putObject("personal")
            .<ObjectNode>set("outputs", JSON.valueToTree(answer.outputs()))
            .set("documents", JSON.valueToTree(answer.documents()));
        return event(SAYS + "task-answered.v1", task, now, data);
    }

    private static Said unprocessable(Task task, String error) {
        String now = now();
        ObjectNode data = about(task).put("error", error).put("failed_at", now);
        return event(SAYS + "task-unprocessable.v1", task, now, data);
    }

    private static ObjectNode about(Task task) {
        return JSON.createObjectNode()
            .put("application_id", task.application().toString()).put("department", CODE)
            .put("task_id", task.id().toString()).put("matter", task.matter());
    }

    private static Said event(String type, Task task, String now, JsonNode data, String... discriminators) {
        UUID id = derivedId("event:" + type + ":" + task.id() + ":" + String.join(":", discriminators));
        return new Said(type, id, task.application(), now, task.traceparent(), data);
    }

    private static final UUID NAMESPACE = UUID.fromString("5b3f1a52-7c0e-5d64-9c7e-0d2a6d1f4b11");

    /** UUIDv5 (RFC 9562 §5.5) of a name in the platform's namespace. */
    static UUID derivedId(String name) {
        try {
            MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
            sha1.update(ByteBuffer.allocate(16)
                .putLong(NAMESPACE.getMostSignificantBits()).putLong(NAMESPACE.getLeastSignificantBits()).flip());
            ByteBuffer digest = ByteBuffer.wrap(sha1.digest(bytes(name)));
            long high = digest.getLong() & ~0xF000L | 0x5000L;
            long low = digest.getLong() & 0x3FFFFFFFFFFFFFFFL | 0x8000000000000000L;
            return new UUID(high, low);
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ssxxx");

    private static String now() {
        return SECONDS.format(OffsetDateTime.now(ZoneOffset.UTC));
    }

    // === 5. What comes in ============================================================================================

    sealed interface Incoming permits Task, Cancelled {
        UUID id();
    }

    record Cancelled(UUID id) implements Incoming {}

    record Task(
            UUID id, UUID application, String matter, String mode, List<String> needsPerson, String dueAt,
            JsonNode fields, String traceparent) implements Incoming {

        String text(String name, String pattern) throws UnfitException {
            String text = fields.path(name).asText("");
            if (!text.matches(pattern)) {
                throw new UnfitException("the fields do not fit: " + name);
            }
            return text;
        }

        OffsetDateTime instant(String name) throws UnfitException {
            try {
                return OffsetDateTime.parse(fields.path(name).asText(""));
            } catch (DateTimeException error) {
                throw new UnfitException("the fields do not fit: " + name);
            }
        }
    }

    /** What came does not fit. The message names fields, never their values. */
    static final class UnfitException extends Exception {
        UnfitException(String message) {
            super(message);
        }
    }

    /** What may be said and logged of a failure: the text of other exceptions may repeat a name or a number. */
    private static String told(Exception error) {
        return error instanceof UnfitException ? error.getMessage() : error.getClass().getSimpleName();
    }

    /** CloudEvents 1.0: binary mode has its attributes in headers {@code ce_…}, structured mode all in the value. */
    private static Incoming read(ConsumerRecord<String, byte[]> record) throws IOException, UnfitException {
        Map<String, String> headers = new HashMap<>();
        for (Header header : record.headers()) {
            headers.put(header.key().toLowerCase(Locale.ROOT), new String(header.value(), StandardCharsets.UTF_8));
        }
        String trace = headers.get("traceparent");
        JsonNode content = JSON.readTree(record.value());
        if (headers.getOrDefault("content-type", "").startsWith("application/cloudevents+json")) {
            return read(
                content.path("specversion").asText(), content.path("type").asText(),
                content.path("traceparent").asText(trace), content.path("data"));
        }
        return read(headers.get("ce_specversion"), headers.get("ce_type"), trace, content);
    }

    private static Incoming read(String version, String type, String trace, JsonNode data) throws UnfitException {
        if (!"1.0".equals(version) || !data.path("department").asText().equals(CODE)) {
            throw new UnfitException("it is no CloudEvent 1.0 for this department");
        }
        UUID id = UUID.fromString(data.path("task_id").asText());
        // Within a major only optional fields are added, and what we do not know we ignore. Another major is another
        // contract: to guess at it would be worse than to keep it for a person.
        return switch (String.valueOf(type)) {
            case "gov.city.approval.task-cancelled.v1" -> new Cancelled(id);
            case "gov.city.approval.task-requested.v1" -> new Task(
                id, UUID.fromString(data.path("application_id").asText()),
                code("matter", data.path("matter").asText()), code("mode", data.path("mode").asText("DECIDE")),
                data.path("needs_person").valueStream().map(JsonNode::asText).toList(),
                data.path("due_at").asText(null), data.path("personal").path("fields"),
                trace != null && trace.matches("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}") ? trace : null);
            default -> throw new UnfitException("this program knows no event of its type and major version");
        };
    }

    private static String code(String name, String text) throws UnfitException {
        if (text == null || !text.matches("[A-Za-z0-9][A-Za-z0-9-]{0,63}")) {
            throw new UnfitException("its " + name + " is no code");
        }
        return text;
    }

    // === 6. The journal: what this department knows, on disk before anybody is told ==================================

    enum State { WAITING, ANSWERED, UNPROCESSABLE, CANCELLED }

    /** What became of a task, with the effect that it had and what was said about it. */
    record Entry(UUID task, State state, VaccinationRecord effect, Said said) {}

    /**
     * A file to which one line is added for each round of the loop: all of it is on disk, or none of it counts. It is
     * kept for ever, and by this process alone; a bureau with a database has a table with a unique task id instead.
     */
    static final class Journal implements Closeable {

        private final FileChannel file;
        private final Map<UUID, Entry> tasks = new HashMap<>();
        private final Map<String, String> numbers = new HashMap<>();
        private final List<Entry> fresh = new ArrayList<>();

        Journal(Path path) throws IOException {
            file = FileChannel.open(
                path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            if (file.tryLock() == null) {
                throw new IllegalStateException(path + " is in use: one journal, one process");
            }
            sync(path.getParent());
            cutUnfinishedLine();
            var lines = new BufferedReader(Channels.newReader(file, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                JSON.readValue(line, ENTRIES).forEach(this::remember);
            }
            file.position(file.size());
        }

        /** What a crash left half written was never said: each line is complete on disk before anything is. */
        private void cutUnfinishedLine() throws IOException {
            long end = file.size();
            ByteBuffer last = ByteBuffer.allocate(1);
            while (end > 0 && file.read(last.clear(), end - 1) == 1 && last.get(0) != '\n') {
                end--;
            }
            file.truncate(end);
        }

        Entry find(UUID task) {
            return tasks.get(task);
        }

        String numberOf(String child) {
            return numbers.get(child);
        }

        int records() {
            return numbers.size();
        }

        void note(Entry entry) {
            remember(entry);
            fresh.add(entry);
        }

        private void remember(Entry entry) {
            tasks.put(entry.task(), entry);
            if (entry.effect() != null) {
                numbers.put(entry.effect().child(), entry.effect().number());
            }
        }

        void write() throws IOException {
            if (fresh.isEmpty()) {
                return;
            }
            ByteBuffer line = ByteBuffer.wrap(bytes(JSON.writeValueAsString(fresh) + "\n"));
            while (line.hasRemaining()) {
                file.write(line);
            }
            file.force(true);
            fresh.clear();
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }

    /** The whole file is on disk when this returns, or nothing of it. */
    private static void writeDown(Path path, byte[] content) throws IOException {
        Path draft = Files.write(Path.of(path + ".draft"), content);
        sync(draft);
        Files.move(draft, path, StandardCopyOption.ATOMIC_MOVE);
        sync(path.getParent());
    }

    private static void sync(Path path) throws IOException {
        try (FileChannel file = FileChannel.open(path)) {
            file.force(true);
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static final ObjectMapper JSON = JsonMapper.builder()
        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .build();
    private static final TypeReference<List<Entry>> ENTRIES = new TypeReference<>() {};

    // === 7. The process ==============================================================================================

    private static volatile boolean stopping;

    /** Usage: {@code Department FOLDER}; who connects to which Kafka stands in YIJIAN_KAFKA_… variables. */
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        for (Path part : List.of(folder, folder.resolve("desk"), folder.resolve("unreadable"))) {
            Files.createDirectories(part);
            Files.setPosixFilePermissions(part, PosixFilePermissions.fromString("rwx------"));
        }
        Thread loop = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(loop)));
        while (!stopping) {
            try (var journal = new Journal(folder.resolve("journal.jsonl"));
                    var consumer = new KafkaConsumer<String, byte[]>(consuming());
                    var producer = new KafkaProducer<String, byte[]>(producing())) {
                log(CODE + " is at work, " + journal.tasks.size() + " tasks known");
                new Department(folder, journal, consumer, producer).serve();
            } catch (KafkaException error) {
                // From the journal and the committed places everything is taken up again: one way back for all trouble.
                log("Kafka: " + error + "; beginning anew");
                Thread.sleep(1000);
            }
        }
    }

    private static void stop(Thread loop) {
        stopping = true;
        try {
            loop.join(15_000);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private static Properties consuming() {
        Properties properties = connection();
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("group.id", "department." + CODE + ".tasks"); // yours begin with your principal and a dot
        properties.put("group.instance.id", "journal"); // a restarted process has its partitions back at once
        properties.put("session.timeout.ms", "10000"); // and another one in its place after this time
        // As the Python SDK has it, so that either may follow the other in one group.
        properties.put("partition.assignment.strategy", RoundRobinAssignor.class.getName());
        properties.put("enable.auto.commit", "false"); // see serve
        properties.put("auto.offset.reset", "earliest"); // "latest" would skip what came while you were away
        return properties;
    }

    private static Properties producing() {
        Properties properties = connection();
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        properties.put("acks", "all");
        properties.put("enable.idempotence", "true");
        return properties;
    }

    private static Properties connection() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", setting("YIJIAN_KAFKA_BOOTSTRAP", null));
        properties.put("security.protocol", setting("YIJIAN_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"));
        properties.put("sasl.mechanism", "SCRAM-SHA-512");
        properties.put("sasl.jaas.config", "%s required username=\"%s\" password=\"%s\";".formatted(
            "org.apache.kafka.common.security.scram.ScramLoginModule",
            setting("YIJIAN_KAFKA_USERNAME", "department." + CODE), setting("YIJIAN_KAFKA_PASSWORD", null)));
        if (System.getenv("YIJIAN_KAFKA_CA_FILE") != null) {
            properties.put("ssl.truststore.type", "PEM");
            properties.put("ssl.truststore.location", System.getenv("YIJIAN_KAFKA_CA_FILE"));
        }
        return properties;
    }

    private static String setting(String name, String otherwise) {
        String value = System.getenv().getOrDefault(name, otherwise);
        if (value == null) {
            throw new IllegalStateException(name + " is not set: `yijian department env " + CODE + "` prints it");
        }
        return value;
    }

    private static void log(String text) {
        System.out.println(Instant.now() + " " + text);
    }
}
