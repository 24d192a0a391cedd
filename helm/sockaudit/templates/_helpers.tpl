{{- define "sockaudit.selector" -}}
app.kubernetes.io/name: sockaudit
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sockaudit.labels" -}}
{{ include "sockaudit.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "sockaudit.name" -}}
{{- if contains "sockaudit" .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-sockaudit" .Release.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sockaudit.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "sockaudit.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "sockaudit.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Host and port as one argument; an IPv6 address needs brackets. */ -}}
{{- define "sockaudit.metricsAddress" -}}
{{- if contains ":" .Values.metrics.host }}[{{ .Values.metrics.host }}]{{ else }}{{ .Values.metrics.host }}{{ end }}:{{ .Values.metrics.port }}
{{- end }}

{{- /* Where the node itself reaches the endpoint. */ -}}
{{- define "sockaudit.probeHost" -}}
{{- if eq .Values.metrics.host "0.0.0.0" }}127.0.0.1{{ else if eq .Values.metrics.host "::" }}::1{{ else }}{{ .Values.metrics.host }}{{ end }}
{{- end }}

{{- /* What each profile lets the agent do. Capabilities added to another user than root are not effective. */ -}}
{{- define "sockaudit.rights" -}}
{{- if eq .Values.security.profile "privileged" -}}
privileged: true
runAsUser: 0
{{- else if eq .Values.security.profile "minimal" -}}
runAsUser: 0
allowPrivilegeEscalation: false
capabilities: {drop: [ALL], add: [BPF, PERFMON]}
seccompProfile: {type: RuntimeDefault}
{{- else -}}
runAsUser: 65532
runAsGroup: 65532
runAsNonRoot: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- end }}
